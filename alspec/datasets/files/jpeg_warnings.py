"""What libjpeg complains of in a JPEG that it decodes all the same, with grey where data are lost.

Pillow keeps such complaints to itself and OpenCV prints them to the process's standard error, so a
process of its own decodes, whose standard error is read.
"""

from __future__ import annotations

import os
import queue
import re
import subprocess
from contextlib import suppress
from types import TracebackType

from alspec.system.interpreter import python_code_command, python_environment

PROCESSES = 2
SUFFIXES = (".jpg", ".jpeg")
HARMLESS_BYTES = 16
"""Extraneous bytes that cameras leave before the end, and that nobody misses."""

_END = b"\0\n"
_CHILD = """
import os, sys
os.dup2(1, 2)
import cv2, numpy
cv2.setNumThreads(1)
for line in sys.stdin.buffer:
    try:
        data = numpy.fromfile(bytes.fromhex(line.decode()), numpy.uint8)
        cv2.imdecode(data, cv2.IMREAD_REDUCED_GRAYSCALE_8)
    except Exception:
        pass
    os.write(1, b"\\0\\n")
"""


class JpegWarnings:
    """Asks libjpeg about JPEGs, in any thread; processes start with the first file."""

    def __init__(self) -> None:
        self._idle: queue.SimpleQueue[subprocess.Popen[bytes] | None] = queue.SimpleQueue()
        for _ in range(PROCESSES):
            self._idle.put(None)
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> JpegWarnings:
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

    def of(self, path: str) -> str:
        """What libjpeg says of a file; empty for one that is whole, or is no JPEG by its name."""
        if not path.lower().endswith(SUFFIXES):
            return ""
        process = self._idle.get()
        try:
            process = process or self._start()
            return _lost(_ask(process, path))
        except OSError:  # no process can be started, or it died: decoding has read the file
            process = None
            return ""
        finally:
            self._idle.put(process)

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(  # noqa: S603 - this very Python, on code that stands here
            python_code_command(_CHILD),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=python_environment(),
        )
        self._started.append(process)
        return process


def _ask(process: subprocess.Popen[bytes], path: str) -> str:
    assert process.stdin is not None  # noqa: S101 - both are pipes
    assert process.stdout is not None  # noqa: S101
    process.stdin.write(os.fsencode(path).hex().encode() + b"\n")
    process.stdin.flush()
    said = b""
    while not said.endswith(_END):
        line = process.stdout.readline()
        if not line:
            raise OSError("the process that decodes ended")
        said += line
    return said.removesuffix(_END).decode(errors="replace").strip()


def _lost(said: str) -> str:
    """The first complaint that means lost data."""
    for line in said.splitlines():
        if "JPEG" not in line and "Huffman" not in line:
            continue
        extra = re.search(r"(\d+) extraneous bytes", line)
        if extra is None or int(extra[1]) > HARMLESS_BYTES:
            return line.strip()
    return ""
