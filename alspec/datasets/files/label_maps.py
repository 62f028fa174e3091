"""Values and colours in mask files to class ids, by table."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alspec.datasets.base import IGNORE, Image, Mask
from alspec.datasets.cityscapes19 import Colour
from alspec.datasets.files.decoding import Labels
from alspec.errors import DataError

_SHOWN = 10
_BYTES = 256
LARGEST = (1 << 16) - 1
"""The highest value that a mask of 16 bits has."""
_UNKNOWN = 254
"""In the table of colours; class ids end below it."""


class ValueTable:
    """Which class each value of a mask means.

    Args:
        classes: value to class id or `IGNORE`.
        meaning: what values there are and what to do about others, for the message.
        ignore_255: the value 255 counts for nothing without being named.
    """

    def __init__(
        self, classes: Mapping[int, int], meaning: str, *, ignore_255: bool = True
    ) -> None:
        self._meaning = meaning
        self._table = np.full(LARGEST + 1, -1, np.int16)
        if ignore_255:
            self._table[IGNORE] = IGNORE
        for value, class_id in classes.items():
            self._table[value] = class_id

        used = {*self._table[:_BYTES].tolist()}
        self._spare = next((byte for byte in range(_BYTES) if byte not in used), None)
        unknown = 0 if self._spare is None else self._spare
        of_bytes = self._table[:_BYTES]
        self._bytes = np.where(of_bytes < 0, unknown, of_bytes).astype(np.uint8)

    def apply(self, labels: Labels, path: Path) -> Mask:
        """Class ids of a mask, (H, W). Raises DataError naming the file and the unknown values."""
        if labels.dtype == np.uint8 and self._spare is not None:  # three times as fast
            import cv2

            mapped = np.asarray(cv2.LUT(np.ascontiguousarray(labels), self._bytes), np.uint8)
            if not (mapped == self._spare).any():
                return mapped
        known = self._table[labels]
        if (known < 0).any():
            values = np.unique(labels[known < 0])
            shown = ", ".join(str(value) for value in values[:_SHOWN])
            more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
            what = f"values {shown}{more} belong to no class: {self._meaning}"
            raise DataError.at(path, what)
        return known.astype(np.uint8)


class ColourTable:
    """Which class each colour of a mask means.

    Args:
        classes: RGB to class id or `IGNORE`.
        meaning: what colours there are and what to do about others, for the message.
    """

    def __init__(self, classes: Mapping[Colour, int], meaning: str) -> None:
        self._classes = dict(classes)
        self._meaning = meaning

    @cached_property
    def _table(self) -> NDArray[np.uint8]:
        """Class of each of the 2^24 colours: 16 MB, made at the first mask."""
        table = np.full(1 << 24, _UNKNOWN, np.uint8)
        for (red, green, blue), class_id in self._classes.items():
            table[red << 16 | green << 8 | blue] = class_id
        return table

    def apply(self, image: Image, path: Path) -> Mask:
        """Class ids of a coloured mask (H, W, 3) as (H, W).

        Raises:
            DataError: naming the file, the unknown colours and how many pixels each has.
        """
        packed = image[..., 0].astype(np.uint32) << 16
        packed |= image[..., 1].astype(np.uint32) << 8
        packed |= image[..., 2]
        known: Mask = self._table[packed]
        if (known == _UNKNOWN).any():
            colours, counts = np.unique(packed[known == _UNKNOWN], return_counts=True)
            most = np.argsort(-counts, kind="stable")[:_SHOWN]
            shown = ", ".join(f"#{colours[i]:06x} ({counts[i]:,} pixels)" for i in most)
            more = f" and {len(colours) - _SHOWN} more" if len(colours) > _SHOWN else ""
            what = f"colours {shown}{more} belong to no class: {self._meaning}"
            raise DataError.at(path, what)
        return known
