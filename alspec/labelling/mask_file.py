"""Writes a mask into the project's own folder, in the values or colours that its spec reads."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from alspec.datasets.base import IGNORE, ImageId, Mask
from alspec.datasets.files.label_fields import LabelFields
from alspec.datasets.files.palette import Colour
from alspec.datasets.kinds.partly_labelled import PartlyLabelled
from alspec.errors import InputError
from alspec.system.atomic import write_bytes

_FORMATS = {".png": "PNG", ".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP"}


def write_mask(dataset: PartlyLabelled, image: ImageId, mask_HW: Mask) -> None:
    """Write an image's mask, whole or not at all.

    Args:
        dataset: whose spec says which value or colour means which class.
        image: one of its pool.
        mask_HW: class ids and `IGNORE`, of the image's size.

    Raises:
        ValueError: it has pixels without a class, and the spec no value for them; or its file is of
            a format that does not keep them.
        InputError: a file is where the folder of masks has to be.
    """
    path = dataset.mask_file(image)
    data = encoded(dataset.spec, mask_HW, path.suffix)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as err:
        what = "is no folder, or lies below a file, and masks go there. Move that file away, or"
        raise InputError.at(path.parent, f"{what} correct `masks` of the dataset") from err
    write_bytes(path, data)


@dataclass(frozen=True)
class OwnCodes:
    """What a project's masks hold for its classes.

    Attributes:
        values: class id of each value, `IGNORE` of ignored ones; empty where masks have colours.
        colours: class id of each colour, likewise; empty where masks have values.
    """

    values: Mapping[int, int]
    colours: Mapping[Colour, int]


def own_codes(spec: LabelFields) -> OwnCodes:
    """The values or colours of a spec whose colour file has been read."""
    ids = {name: number for number, name in enumerate(spec.class_names)}
    if isinstance(spec.colours, dict):
        colours = {_rgb(colour): ids[name] for colour, name in spec.colours.items()}
        return OwnCodes({}, {_rgb(str(item)): IGNORE for item in spec.ignored} | colours)
    ignored = {int(item): IGNORE for item in spec.ignored}
    if spec.values is not None:
        return OwnCodes(ignored | {value: ids[name] for value, name in spec.values.items()}, {})
    return OwnCodes(ignored | {IGNORE: IGNORE} | {number: number for number in ids.values()}, {})


def has_ignored(spec: LabelFields) -> bool:
    """Whether masks of a spec can hold pixels without a class."""
    codes = own_codes(spec)
    return IGNORE in (*codes.values.values(), *codes.colours.values())


def encoded(spec: LabelFields, mask_HW: Mask, suffix: str = ".png") -> bytes:
    """A mask as an image of the spec's values, or colours; see `write_mask`."""
    ids = {name: number for number, name in enumerate(spec.class_names)}
    if isinstance(spec.colours, dict):
        colours = {ids[name]: _rgb(colour) for colour, name in reversed(spec.colours.items())}
        if spec.ignored:
            colours[IGNORE] = _rgb(str(spec.ignored[0]))
        _require_all(mask_HW, set(colours))
        table = np.zeros((256, 3), np.uint8)
        for class_id, colour in colours.items():
            table[class_id] = colour
        return _image_file(table[mask_HW], suffix)
    values = {number: number for number in ids.values()}
    if spec.values is not None:
        values = {ids[name]: value for value, name in reversed(spec.values.items())}
    if spec.ignored or spec.values is None:
        values[IGNORE] = int(spec.ignored[0]) if spec.ignored else IGNORE
    _require_all(mask_HW, set(values))
    wide = max(values.values()) > np.iinfo(np.uint8).max
    numbers = np.zeros(256, np.uint16 if wide else np.uint8)
    for class_id, value in values.items():
        numbers[class_id] = value
    return _image_file(numbers[mask_HW], suffix)


def _require_all(mask_HW: Mask, known: set[int]) -> None:
    if IGNORE not in known and (mask_HW == IGNORE).any():
        raise ValueError(
            "it has pixels without a class, and the project no value for them: name a class in "
            "`unlabelled`, or a value in the dataset's `ignore`"
        )


def _image_file(pixels: NDArray[np.generic], suffix: str) -> bytes:
    known = _FORMATS.get(suffix.lower())
    if known is None or (known == "BMP" and pixels.dtype == np.uint16):
        raise ValueError(
            f"the mask it would replace is a `{suffix}` file, which does not keep every value: "
            "save that as PNG, or remove it"
        )
    buffer = io.BytesIO()
    PillowImage.fromarray(pixels).save(buffer, known)
    return buffer.getvalue()


def _rgb(colour: str) -> Colour:
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue
