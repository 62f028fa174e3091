"""Decodes JPEGs where libjpeg's complaints can be heard: grey pixels in place of lost data.

Pillow keeps such complaints to itself and OpenCV prints them to the process's standard error, so
processes of their own decode, whose standard error is read. They hash and shrink what they decode,
so that nobody has to read it again.
"""

from __future__ import annotations

import hashlib
import json
import os
import queue
import re
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from alspec.datasets.files.decoding import MAX_PIXELS, pillow_resize
from alspec.system.interpreter import python_code_command, python_environment

PROCESSES = 2
SUFFIXES = (".jpg", ".jpeg")
HARMLESS_BYTES = 16
"""Extraneous bytes that cameras leave before the end, and that nobody misses."""

_ANSWER = b"\0"
"""Begins the line that ends the output about a file."""

_CHILD = "from alspec.datasets.files.jpeg_decoder import serve; serve()"


@dataclass(frozen=True, slots=True)
class DecodedJpeg:
    """A JPEG as OpenCV decodes it; its pixels are those of Pillow, whose decoder is libjpeg too.

    Attributes:
        size: height and width.
        thumbnail: as `pillow_resize` shrinks it, RGB.
        sha256: of the file.
        lost: libjpeg's first complaint that means lost data; empty for none.
        flawless: libjpeg gave no warning.
    """

    size: tuple[int, int]
    thumbnail: NDArray[np.uint8]
    sha256: bytes
    lost: str
    flawless: bool


class JpegDecoder:
    """Decodes JPEGs, asked from any thread; processes start with the first file.

    Args:
        thumbnail: height and width of the thumbnails.
    """

    def __init__(self, thumbnail: tuple[int, int]) -> None:
        self._thumbnail = thumbnail
        self._idle: queue.SimpleQueue[subprocess.Popen[bytes] | None] = queue.SimpleQueue()
        for _ in range(PROCESSES):
            self._idle.put(None)
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> JpegDecoder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, at: TracebackType | None
    ) -> None:
        for process in self._started:
            with suppress(OSError):
                process.kill()
                process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe:
                    with suppress(OSError):
                        pipe.close()

    def decode(self, path: str) -> DecodedJpeg | None:
        """A file decoded; None for what is no JPEG by its name, and what OpenCV cannot decode."""
        if not path.lower().endswith(SUFFIXES):
            return None
        process = self._idle.get()
        try:
            process = process or self._start()
            return self._decoded(*_ask(process, path))
        except (OSError, ValueError):  # no process can be started, or it died
            process = None
            return None
        finally:
            self._idle.put(process)

    def _decoded(self, output: str, answer: Mapping[str, str]) -> DecodedJpeg | None:
        if not answer:
            return None
        small = np.frombuffer(bytes.fromhex(answer["thumbnail"]), np.uint8)
        height, width = (int(part) for part in answer["size"].split())
        return DecodedJpeg(
            size=(height, width),
            thumbnail=small.reshape(*self._thumbnail, 3),
            sha256=bytes.fromhex(answer["sha256"]),
            lost=_lost(output),
            flawless=not output,
        )

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(  # noqa: S603 - this Python, on the code below
            [*python_code_command(_CHILD), *map(str, self._thumbnail)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**python_environment(), "OPENCV_IO_MAX_IMAGE_PIXELS": str(MAX_PIXELS)},
        )
        self._started.append(process)
        return process


def _ask(process: subprocess.Popen[bytes], path: str) -> tuple[str, dict[str, str]]:
    """What libjpeg says of a file, and the answer; empty for what cannot be decoded."""
    assert process.stdin is not None  # noqa: S101 - both are pipes
    assert process.stdout is not None  # noqa: S101
    process.stdin.write(os.fsencode(path).hex().encode() + b"\n")
    process.stdin.flush()
    output = b""
    while True:
        line = process.stdout.readline()
        if not line:
            raise OSError("the process that decodes ended")
        before, found, answer = line.partition(_ANSWER)
        output += before
        if found:
            return output.decode(errors="replace").strip(), json.loads(answer)


def _lost(output: str) -> str:
    """The first complaint that means lost data."""
    for line in output.splitlines():
        if "JPEG" not in line and "Huffman" not in line:
            continue
        extra = re.search(r"(\d+) extraneous bytes", line)
        if extra is None or int(extra[1]) > HARMLESS_BYTES:
            return line.strip()
    return ""


def serve() -> None:
    """Decode the files named on standard input, a path in hexadecimal a line; answer each."""
    import cv2

    size = int(sys.argv[1]), int(sys.argv[2])
    os.dup2(1, 2)
    cv2.setNumThreads(1)
    for line in sys.stdin.buffer:
        answer = {}
        with suppress(Exception):  # whatever is wrong with it, reading it again says so
            answer = _answer(bytes.fromhex(line.decode()), size)
        os.write(1, _ANSWER + json.dumps(answer).encode() + b"\n")


def _answer(path: bytes, size: tuple[int, int]) -> dict[str, str]:
    import cv2

    with open(path, "rb") as file:  # noqa: PTH123 - the path is bytes
        data = file.read()
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    decoded = np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), flags), np.uint8)
    small = pillow_resize(decoded, size)[..., ::-1]
    height, width = decoded.shape[:2]
    return {
        "size": f"{height} {width}",
        "thumbnail": np.ascontiguousarray(small).tobytes().hex(),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
