"""Refuses pickled weights that claim more values than their file holds, before anything is loaded.

A pickle of some bytes can ask for gigabytes: as the size of a storage in the layout of torch before
1.6, or of a `bytearray`. Its opcodes are looked at one by one; none is carried out.
"""

from __future__ import annotations

import pickletools
import zipfile
from pathlib import Path
from typing import IO

from alspec.system.reading import open_regular

SCANNED_BYTES = 64 << 20
"""Of a pickle; names and shapes of any net are far shorter."""

_REFUSED = ("bytearray", "bytes")
_SOONER = 4
"""Pickles before the object's in torch's old layout, the storages' keys after it included."""


def excess_in_pickles(path: Path, size: int) -> str:
    """What a file of pickled weights claims and cannot hold, in words; empty if nothing.

    Args:
        path: a file that is no .safetensors.
        size: its own, in bytes.

    Raises:
        OSError: it cannot be read.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                if member.filename.endswith(".pkl"):
                    with archive.open(member) as file:
                        if found := _excess(file, size):
                            return found
        return ""
    with open_regular(path) as file:
        for _ in range(_SOONER + 1):
            if found := _excess(file, size):
                return found
    return ""


def _excess(file: IO[bytes], size: int) -> str:
    """Look at one pickle; what is none is for the loader to say."""
    numbers: list[int] = []
    words: list[str] = []
    try:
        for opcode, argument, _ in pickletools.genops(file):
            if opcode.name == "MARK":
                numbers.clear()
            elif isinstance(argument, int) and opcode.name not in _MEMO:
                numbers.append(argument)
            elif isinstance(argument, str):
                words = [*words[-1:], argument]
            if opcode.name == "BINPERSID" and max(numbers, default=0) > size:
                return f"a storage of {max(numbers):,} values"
            if opcode.name in ("GLOBAL", "STACK_GLOBAL"):
                asked = str(argument) if opcode.name == "GLOBAL" else " ".join(words)
                module, _, name = asked.rpartition(" ")
                if module in ("builtins", "__builtin__") and name in _REFUSED:
                    return f"a `{name}`, which no weights need"
            if file.tell() > SCANNED_BYTES:
                return f"a pickle of more than {SCANNED_BYTES >> 20} MB"
    except (ValueError, EOFError, UnicodeDecodeError, IndexError):
        return ""
    return ""


_MEMO = frozenset(
    {"PUT", "BINPUT", "LONG_BINPUT", "GET", "BINGET", "LONG_BINGET", "PROTO", "FRAME"}
)
