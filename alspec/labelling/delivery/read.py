"""Reads a delivery in whichever of the formats it comes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from alspec.labelling.delivery import cvat_masks, cvat_xml, folder, labelstudio
from alspec.labelling.delivery.base import Delivery, Expectation, stem_of
from alspec.labelling.delivery.source import Source, ending, opened

_Read: TypeAlias = Callable[[Source, Expectation], Delivery]
_IsOne: TypeAlias = Callable[[Source, Expectation], bool]

_FORMATS: tuple[tuple[_IsOne, _Read], ...] = (
    (cvat_masks.is_one, cvat_masks.read),
    (cvat_xml.is_one, cvat_xml.read),
    (labelstudio.is_one, labelstudio.read),
    (folder.is_one, folder.read),
)


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
        read = _reader(source, expected)
        delivery = read(source, expected)
        if read in (cvat_xml.read, labelstudio.read):
            _refuse_masks_beside(source, expected)
        delivery.refused += source.refused
        return delivery


def _refuse_masks_beside(source: Source, expected: Expectation) -> None:
    """Refuse masks that lie beside an XML or JSON which has its own: one of the two counts."""
    for file in folder.mask_files(source):
        if stem_of(file) in expected.images:
            why = "an export of CVAT or Label Studio is beside it; give masks in their own folder"
            source.refuse(file, why)


def _reader(source: Source, expected: Expectation) -> _Read:
    """The first format whose files are there: notes and lists of other tools may lie beside."""
    for is_one, read in _FORMATS:
        if is_one(source, expected):
            return read
    if ending(source.files, ".xml"):  # no export, as its reader will say
        return cvat_xml.read
    return labelstudio.read if ending(source.files, ".json") else folder.read
