"""A delivery in CVAT's "Segmentation mask 1.1"."""

from __future__ import annotations

import re
from collections.abc import Iterator

from alspec.datasets.files.palette import BLACK, Colour, hex_of
from alspec.labelling.delivery.base import Delivered, Delivery, Expectation, stem_of
from alspec.labelling.delivery.pixels import by_colour, decoded
from alspec.labelling.delivery.source import Source, ending
from alspec.labelling.export.image import reject_tag

LABELMAP = "labelmap.txt"
_LISTS = re.compile(r"^(|.*/)ImageSets/Segmentation/[^/]+\.txt$")
_MASKS = re.compile(r"^(|.*/)SegmentationClass/[^/]+\.png$", re.IGNORECASE)

_Colours = dict[Colour, int]


def is_one(source: Source, expected: Expectation) -> bool:
    """Whether there is a label map, and masks or lists of frames."""
    there = any(_MASKS.search(file) or _LISTS.search(file) for file in source.files)
    return there and bool(_label_maps(source))


def read(source: Source, expected: Expectation) -> Delivery:
    """Masks by the colours of the `labelmap.txt` of their own export; there may be several.

    A frame that is listed without a mask is not annotated; one of a listed batch that is not
    listed was deleted in CVAT, so rejected. Nothing is taken of an export whose label map cannot be
    read, gives a colour to two classes, or names no class of the project.
    """
    delivery = Delivery()
    maps = _label_maps(source)
    exports = {home: _colours(source, file, expected) for home, file in maps.items()}
    for file in ending(source.files, ".png"):
        found = _MASKS.search(file)
        if found is None:
            continue
        try:
            colours = exports.get(found[1])
            if colours is None:
                raise ValueError(f"beside its SegmentationClass/ is no {LABELMAP} that can be used")
            image = expected.image(file)
            mask = by_colour(
                decoded(source.files[file](), image.size), colours, expected.unlabelled
            )
            delivery.add(Delivered(stem_of(file), mask))
        except ValueError as err:
            source.refuse(file, str(err))
    delivery.images += _deleted(source, expected, {home for home, own in exports.items() if own})
    return delivery


def _label_maps(source: Source) -> dict[str, str]:
    """Label maps by the folder of their export, which ends in `/` or is empty."""
    files = ending(source.files, LABELMAP)
    homes = {file[: -len(LABELMAP)]: file for file in files}
    return {home: file for home, file in homes.items() if not home or home.endswith("/")}


def _colours(source: Source, file: str, expected: Expectation) -> _Colours | None:
    """Class ids by colour; None, and the file refused, where that is not clear."""
    try:
        colours = _parsed(source, file, expected)
    except ValueError as err:
        source.refuse(file, f"it is no label map of CVAT ({err})")
        return None
    if not set(colours.values()) - {expected.unlabelled}:
        source.refuse(file, "it names none of the project's classes")
        return None
    return {BLACK: expected.unlabelled, **colours}


def _parsed(source: Source, file: str, expected: Expectation) -> _Colours:
    labels: dict[Colour, str] = {}
    colours: dict[Colour, int | None] = {}
    for line in source.files[file]().decode("utf-8").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        name, text = line.split(":")[:2]
        red, green, blue = (int(part) for part in text.split(","))
        colour, class_id = (red, green, blue), None
        if name == reject_tag(expected.classes):
            continue  # a tag, which paints nothing
        if name in expected.classes:
            class_id = expected.class_id(name)
        elif name == "background":
            class_id = expected.unlabelled
        else:
            source.refuse(f"{file}: {name}", "this label is no class of the project")
        if colours.setdefault(colour, class_id) != class_id:
            raise ValueError(f"`{labels[colour]}` and `{name}` have one colour, {hex_of(colour)}")
        labels.setdefault(colour, name)
    return {colour: class_id for colour, class_id in colours.items() if class_id is not None}


def _deleted(source: Source, expected: Expectation, homes: set[str]) -> Iterator[Delivered]:
    """Images that are in no list although lists of these exports have others of their batch."""
    listed: set[str] = set()
    batches: set[str] = set()
    for file in source.files:
        if (found := _LISTS.search(file)) is None:
            continue
        try:
            text = source.files[file]().decode("utf-8", errors="replace")
        except ValueError as err:
            source.refuse(file, str(err))
            continue
        names = {line.strip().rpartition("/")[2] for line in text.splitlines()}
        listed |= names
        if found[1] in homes:
            batches |= {name.partition("-")[0] for name in names & expected.images.keys()}
    for name in expected.images:
        if name not in listed and name.partition("-")[0] in batches:
            yield Delivered(name, rejected=True)
