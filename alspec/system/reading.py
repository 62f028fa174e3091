"""Reads files of a size that is known: never a pipe that nobody writes to, nor one without end."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

LIST_BYTES = 64 << 20
"""The longest list of images that is read: a million paths."""


def open_regular(path: str | Path) -> BinaryIO:
    """Open a file to read.

    Raises:
        OSError: it cannot be opened, or is a folder, a pipe, a device or a socket.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # a pipe would wait
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder, not a file", str(path))
    raise OSError(errno.EINVAL, "it is a pipe or a device, not a file", str(path))


def read_text_file(path: Path, most: int = LIST_BYTES) -> str:
    """A text file in UTF-8, with or without a byte order mark; lines end with a newline.

    Args:
        path: the file.
        most: its size at most, in bytes.

    Raises:
        OSError: it cannot be read, is no file, or is larger.
        UnicodeDecodeError: it is not UTF-8.
    """
    with open_regular(path) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"it is larger than {most >> 20} MB", str(path))
    return data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
