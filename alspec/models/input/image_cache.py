"""Decoded images and masks on disk, in mapped files that all workers and later runs share.

A row is there when its mark is: the checksum of its bytes, written after them and compared when a
process first reads the row. So a row that a kill, a power cut or a twin's writing tore is never
taken for done, and whoever finds one writes it again.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import re
import shutil
import sys
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import PIL
from numpy.typing import NDArray

from alspec.datasets.base import Dataset, ImageId, Split
from alspec.datasets.files.resizing import RESIZING
from alspec.datasets.open import all_images, pixels_fields
from alspec.system import failpoints
from alspec.system.atomic import NOFOLLOW, write_json

VERSION = 1
"""Raised when the files are laid out differently."""

FREE_BYTES = 1 << 30
"""DiskSpaceCheck that is left on the disk: steps and checkpoints go before decoded images."""

_THERE = 1 << 32
"""Distinguishes a row whose checksum is 0 from a row not written."""


class ImageCache:
    """The images (3, H, W) and masks (H, W) of a dataset at one size, each filled when asked for.

    It can be thrown away at any time, and nothing depends on it: what it cannot read or write is
    decoded again.
    """

    def __init__(
        self,
        folder: Path,
        images: Sequence[ImageId],
        size: tuple[int, int],
        *,
        masks: bool = True,
    ) -> None:
        """Open or make the files; without `masks`, those are never written to disk.

        Raises:
            OSError: the disk does not let it.
        """
        if folder.is_symlink() or folder.parent.is_symlink():
            raise OSError("a link, and none is followed here")
        folder.mkdir(parents=True, exist_ok=True)
        self._masks = masks
        self.folder = folder
        self._row: Mapping[ImageId, int] = {image: row for row, image in enumerate(images)}
        self._rows = {
            "image": _Rows(folder / "images", len(self._row), (3, *size)),
            "mask": _Rows(folder / "masks", len(self._row), size),
        }
        self._full = False

    @classmethod
    def of(cls, root: Path, dataset: Dataset, size: tuple[int, int]) -> ImageCache | None:
        """The cache of a dataset below `root`; None, after a warning, where there can be none."""
        about = _about(dataset, size)
        digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
        kind = re.sub(r"[^\w-]", "_", dataset.kind)
        folder = root / f"{kind}-{size[0]}x{size[1]}-{digest[:16]}"
        try:
            masks = not dataset.spec.MASKS_CHANGE
            cache = cls(folder, all_images(dataset), size, masks=masks)
            if not (folder / "about.json").exists():
                write_json(folder / "about.json", about)
        except OSError as err:
            _warn(f"{folder}: {err.strerror or err}")
            return None
        return cache

    def get(self, what: str, image: ImageId) -> NDArray[np.uint8] | None:
        """The pixels of an `image` or a `mask`, not to be written to; None if not there."""
        row = self._row.get(image)
        return None if row is None else self._rows[what].read(row)

    def has(self, what: str, image: ImageId) -> bool:
        """Whether the pixels were written; `get` also checks whether they are whole."""
        row = self._row.get(image)
        return row is not None and self._rows[what].is_marked(row)

    def put(self, what: str, image: ImageId, pixels: NDArray[np.uint8]) -> bool:
        """Save pixels; false, after one warning, where they cannot be saved."""
        row = self._row.get(image)
        if row is None or self._full or (what == "mask" and not self._masks):
            return False
        try:
            if shutil.disk_usage(self.folder).free < FREE_BYTES:
                raise OSError("less than 1 GB is free there")
            self._rows[what].write(row, pixels)
        except OSError as err:
            self._full = True
            _warn(f"{self.folder}: {err.strerror or err}")
            return False
        return True


class _Rows:
    """Rows of one shape in a file, and a file of their marks."""

    def __init__(self, path: Path, count: int, shape: tuple[int, ...]) -> None:
        self._made_of = (path, count, shape)
        self.path = path
        self._row_bytes = int(np.prod(shape))
        self._pixels = _Mapped(path.with_suffix(".rows"), count * self._row_bytes)
        self._marks = _Mapped(path.with_suffix(".marks"), count * 8)
        self._rows = self._pixels.array.reshape(count, *shape)
        self._mark = self._marks.array.view("<u8")
        self._sound = np.zeros(count, bool)
        """Rows that this process has compared with their mark."""

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), self._made_of

    def is_marked(self, row: int) -> bool:
        return bool(self._mark[row])

    def read(self, row: int) -> NDArray[np.uint8] | None:
        mark = int(self._mark[row])
        if not mark:
            return None
        pixels: NDArray[np.uint8] = self._rows[row]
        if not self._sound[row]:
            if mark != _mark_of(pixels):
                return None
            self._sound[row] = True
        return pixels

    def write(self, row: int, pixels: NDArray[np.uint8]) -> None:
        """Write the bytes, then the mark: never through the map, where a full disk would kill."""
        pixels = np.ascontiguousarray(pixels)
        failpoints.at("cache.row", self.path)
        self._pixels.write(pixels.data.cast("B"), row * self._row_bytes)
        failpoints.at("cache.mark", self.path)
        self._marks.write(_mark_of(pixels).to_bytes(8, "little"), row * 8)


class _Mapped:
    """A file of fixed size, mapped to be read; what was not written yet takes no room."""

    def __init__(self, path: Path, size: int) -> None:
        self._refused: OSError | None = None
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | NOFOLLOW, 0o666)
        except OSError as err:
            if path.is_symlink() or not path.exists():
                raise
            self._descriptor = os.open(path, os.O_RDONLY | NOFOLLOW)
            self._refused = err
        if os.fstat(self._descriptor).st_size < size:
            os.ftruncate(self._descriptor, size)
        self._map = mmap.mmap(self._descriptor, size, access=mmap.ACCESS_READ)
        self.array: NDArray[np.uint8] = np.frombuffer(self._map, np.uint8)

    def write(self, data: bytes | memoryview, offset: int) -> None:
        if self._refused:
            raise self._refused
        if os.pwrite(self._descriptor, data, offset) < len(data):
            raise OSError("the disk took a part of a row only")

    def __del__(self) -> None:
        if hasattr(self, "_descriptor"):
            os.close(self._descriptor)


def _mark_of(pixels: NDArray[np.uint8]) -> int:
    return zlib.crc32(pixels.data) | _THERE


def _about(dataset: Dataset, size: tuple[int, int]) -> dict[str, object]:
    """All that decides the pixels, and where they lie in the files."""
    return {
        "version": VERSION,
        "dataset": pixels_fields(dataset.spec),
        "fingerprints": {split.value: dataset.fingerprint(split) for split in Split},
        "size": list(size),
        "resizing": RESIZING,
        "pillow": PIL.__version__,
        "opencv": cv2.__version__,
    }


def _warn(why: str) -> None:
    sys.stderr.write(f"decoded images stay in memory, they cannot be cached on disk: {why}\n")
