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
from alspec.system.atomic import write_bytes


def write_mask(dataset: PartlyLabelled, image: ImageId, mask_HW: Mask) -> None:
    """Write an image's mask, whole or not at all.

    Args:
        dataset: whose spec says which value or colour means which class.
        image: one of its pool.
        mask_HW: class ids and `IGNORE`, of the image's size.

    Raises:
        ValueError: it has pixels without a class, and the spec no value for them.
    """
    data = encoded(dataset.spec, mask_HW)
    path = dataset.mask_file(image)
    path.parent.mkdir(parents=True, exist_ok=True)
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


def encoded(spec: LabelFields, mask_HW: Mask) -> bytes:
    """A mask as a PNG of the spec's values, or colours; see `write_mask`."""
    ids = {name: number for number, name in enumerate(spec.class_names)}
    if isinstance(spec.colours, dict):
        colours = {ids[name]: _rgb(colour) for colour, name in reversed(spec.colours.items())}
        if spec.ignored:
            colours[IGNORE] = _rgb(str(spec.ignored[0]))
        _require_all(mask_HW, set(colours))
        table = np.zeros((256, 3), np.uint8)
        for class_id, colour in colours.items():
            table[class_id] = colour
        return _png(table[mask_HW])
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
    return _png(numbers[mask_HW])


def _require_all(mask_HW: Mask, known: set[int]) -> None:
    if IGNORE not in known and (mask_HW == IGNORE).any():
        raise ValueError(
            "it has pixels without a class, and the project no value for them: name a class in "
            "`unlabelled`, or a value in the dataset's `ignore`"
        )


def _png(pixels: NDArray[np.generic]) -> bytes:
    buffer = io.BytesIO()
    PillowImage.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def _rgb(colour: str) -> Colour:
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue
