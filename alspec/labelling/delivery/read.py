"""Reads a delivery in whichever of the formats it comes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from alspec.labelling.delivery import cvat_masks, cvat_xml, folder, labelstudio
from alspec.labelling.delivery.base import Delivery, Expectation
from alspec.labelling.delivery.source import Source, ending, opened


def read_delivery(path: Path, expected: Expectation) -> Delivery:
    """What a zip, a folder or a file says of the images that were handed over.

    Args:
        path: as people have exported it.
        expected: what may be in it.

    Returns:
        What was found, and every file that was refused with its reason.

    Raises:
        InputError: there is nothing that can be read at all.
    """
    with opened(path) as source:
        delivery = _reader(source)(source, expected)
        delivery.refused += source.refused
        return delivery


def _reader(source: Source) -> Callable[[Source, Expectation], Delivery]:
    if ending(source.files, cvat_masks.LABELMAP):
        return cvat_masks.read
    if ending(source.files, ".xml"):
        return cvat_xml.read
    if ending(source.files, ".json"):
        return labelstudio.read
    return folder.read
