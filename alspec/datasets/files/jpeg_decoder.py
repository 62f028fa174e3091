"""Decodes JPEGs where libjpeg's complaints can be heard: grey pixels in place of lost data.

Pillow keeps such complaints to itself and OpenCV prints them to the process's standard error. So
this is for a process of its own, whose standard error nobody else needs.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alspec.datasets.files.decoding import pillow_resize, plain_jpeg_size

SUFFIXES = (".jpg", ".jpeg")
HARMLESS_BYTES = 16
"""Extraneous bytes that cameras leave before the end, and that nobody misses."""

_STANDARD_ERROR = 2
_BLOCK = 1 << 16


@dataclass(frozen=True, slots=True)
class DecodedJpeg:
    """A JPEG as OpenCV decodes it; its pixels are those of Pillow, whose decoder is libjpeg too.

    Attributes:
        size: height and width.
        thumbnail: as `pillow_resize` shrinks it, RGB.
        sha256: of the file.
        lost: libjpeg's first complaint that means lost data; empty for none.
        flawless: libjpeg gave no warning, and Pillow takes it as it is.
    """

    size: tuple[int, int]
    thumbnail: NDArray[np.uint8]
    sha256: bytes
    lost: str
    flawless: bool


class JpegDecoder:
    """Decodes in this process, whose standard error it takes.

    Args:
        thumbnail: height and width of the thumbnails.
    """

    def __init__(self, thumbnail: tuple[int, int]) -> None:
        import cv2

        cv2.setNumThreads(1)
        self._thumbnail = thumbnail
        self._heard, writing = os.pipe()
        os.set_blocking(self._heard, False)
        os.set_blocking(writing, False)  # more than a pipe holds is dropped, rather than waited for
        os.dup2(writing, _STANDARD_ERROR)
        os.close(writing)

    def decode(self, path: str) -> DecodedJpeg | None:
        """A file decoded; None for what is no JPEG by its name, and what OpenCV cannot decode."""
        if not path.lower().endswith(SUFFIXES):
            return None
        with suppress(Exception):  # whatever is wrong with it, reading it again says so
            return self._decoded(Path(path).read_bytes())
        return None

    def _decoded(self, data: bytes) -> DecodedJpeg:
        import cv2

        self._complaints()  # of a file before, which could not be decoded
        flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        decoded = np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), flags), np.uint8)
        complaints = self._complaints()
        height, width = decoded.shape[:2]
        small = pillow_resize(decoded, self._thumbnail)[..., ::-1]
        return DecodedJpeg(
            size=(height, width),
            thumbnail=np.ascontiguousarray(small),
            sha256=hashlib.sha256(data).digest(),
            lost=_lost(complaints),
            flawless=not complaints and plain_jpeg_size(io.BytesIO(data)) == (height, width),
        )

    def _complaints(self) -> str:
        """What was printed to standard error since it was asked for."""
        found = b""
        with suppress(BlockingIOError):
            while block := os.read(self._heard, _BLOCK):
                found += block
        return found.decode(errors="replace").strip()


def _lost(output: str) -> str:
    """The first complaint that means lost data."""
    for line in output.splitlines():
        if "JPEG" not in line and "Huffman" not in line:
            continue
        extra = re.search(r"(\d+) extraneous bytes", line)
        if extra is None or int(extra[1]) > HARMLESS_BYTES:
            return line.strip()
    return ""
