"""A delivery of plain mask files, named like the images."""

from __future__ import annotations

from alspec.datasets.files.palette import colour_of
from alspec.labelling.delivery.base import Delivered, Delivery, Expectation, stem_of
from alspec.labelling.delivery.pixels import mask_of
from alspec.labelling.delivery.source import Source, ending

REJECTED = "rejected.txt"


def read(source: Source, expected: Expectation) -> Delivery:
    """Masks by name, and `rejected.txt`.

    Masks hold the values or colours of the project's own masks, or else class ids or the colours of
    `classes.csv`.
    """
    delivery = Delivery()
    colours = {colour_of(class_id): class_id for class_id in range(len(expected.classes))}
    seen: set[str] = set()
    for file in ending(source.files, ".png", ".bmp", ".tif", ".tiff"):
        if _is_handed_over(file):
            continue
        try:
            image = expected.image(file)
            if stem_of(file) in seen:
                raise ValueError("the delivery has two masks of this name")
            data = source.files[file]()
            mask = mask_of(data, image.size, expected, expected.colours, colours, values=True)
        except ValueError as err:
            source.refuse(file, str(err))
            continue
        seen.add(stem_of(file))
        delivery.images.append(Delivered(stem_of(file), mask))
    for file in ending(source.files, REJECTED):
        delivery.images += _rejected(source, file, expected)
    return delivery


def _is_handed_over(file: str) -> bool:
    """Whether a file is the hand-over's own, when the whole folder comes back."""
    return bool({"images", "proposed"} & set(file.split("/")[:-1]))


def _rejected(source: Source, file: str, expected: Expectation) -> list[Delivered]:
    found = []
    try:
        lines = source.files[file]().decode("utf-8-sig", errors="replace").splitlines()
    except ValueError as err:
        source.refuse(file, str(err))
        return []
    for line in filter(None, map(str.strip, lines)):
        try:
            expected.image(line)
            found.append(Delivered(stem_of(line), rejected=True))
        except ValueError as err:
            source.refuse(f"{file}: {line[:80]}", str(err))
    return found
