"""A delivery in CVAT's "Segmentation mask 1.1"."""

from __future__ import annotations

import re
from collections.abc import Iterator

from alspec.datasets.files.palette import BLACK, Colour
from alspec.errors import InputError
from alspec.labelling.delivery.base import Delivered, Delivery, Expectation, stem_of
from alspec.labelling.delivery.pixels import by_colour, decoded
from alspec.labelling.delivery.source import Source, ending
from alspec.labelling.export.image import reject_tag

LABELMAP = "labelmap.txt"
_LISTS = re.compile(r"(?:^|/)ImageSets/Segmentation/[^/]+\.txt$")
_MASKS = re.compile(r"(?:^|/)SegmentationClass/[^/]+\.png$", re.IGNORECASE)


def read(source: Source, expected: Expectation) -> Delivery:
    """Masks by the colours of `labelmap.txt`.

    A frame that is listed without a mask is not annotated; one of a listed batch that is not
    listed was deleted in CVAT, so rejected.

    Raises:
        InputError: the label map cannot be read, or names no class of the project.
    """
    delivery = Delivery()
    colours = _colours(source, expected)
    for file in (name for name in ending(source.files, ".png") if _MASKS.search(name)):
        try:
            image = expected.image(file)
            pixels = decoded(source.files[file](), image.size)
            mask = by_colour(pixels, colours, expected.unlabelled)
        except ValueError as err:
            source.refuse(file, str(err))
            continue
        delivery.images.append(Delivered(stem_of(file), mask))
    listed = set(_listed(source))
    batches = {name.partition("-")[0] for name in listed if name in expected.images}
    delivery.images += [
        Delivered(name, rejected=True)
        for name in expected.images
        if name not in listed and name.partition("-")[0] in batches
    ]
    return delivery


def _colours(source: Source, expected: Expectation) -> dict[Colour, int]:
    file = ending(source.files, LABELMAP)[0]
    colours: dict[Colour, int] = {}
    try:
        text = source.files[file]().decode("utf-8")
        for line in text.splitlines():
            if not line.strip() or line.startswith("#"):
                continue
            name, colour = line.split(":")[:2]
            red, green, blue = (int(part) for part in colour.split(","))
            if name == "background" and name not in expected.classes:
                colours[red, green, blue] = expected.unlabelled
            elif name in expected.classes:
                colours[red, green, blue] = expected.class_id(name)
            elif name != reject_tag(expected.classes):
                source.refuse(f"{file}: {name}", "this label is no class of the project")
    except ValueError as err:
        raise InputError.at(file, f"is no label map of CVAT ({err})") from err
    if not set(colours.values()) - {expected.unlabelled}:
        raise InputError.at(file, "names none of the project's classes")
    colours.setdefault(BLACK, expected.unlabelled)
    return colours


def _listed(source: Source) -> Iterator[str]:
    for file in source.files:
        if _LISTS.search(file):
            try:
                text = source.files[file]().decode("utf-8", errors="replace")
            except ValueError as err:
                source.refuse(file, str(err))
                continue
            yield from (line.strip().rpartition("/")[2] for line in text.splitlines())
