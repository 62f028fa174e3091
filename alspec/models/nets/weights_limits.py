"""Refuses weights that claim more than their file or this machine can hold, before loading them."""

from __future__ import annotations

import json
import math
import os
import struct
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from torch import Tensor

from alspec.errors import InputError
from alspec.models.nets.pickle_limits import excess_in_pickles
from alspec.system.reading import open_regular

MOST_TENSORS = 100_000
"""More than any net has by far; each costs memory before anything is looked at."""

MOST_HEADER_BYTES = 100_000_000
"""What safetensors itself allows."""


def refuse_excess(path: Path) -> None:
    """Look at a file's size and at what its own table of contents claims; load nothing.

    Raises:
        InputError: it is larger than the free memory, or claims what it cannot hold.
        OSError: it cannot be read.
    """
    with open_regular(path) as file:
        size, free = os.fstat(file.fileno()).st_size, free_memory()
    if free is not None and size > free:
        raise _refused(path, f"has {_in_words(size)}, and {_in_words(free)} of memory are free")
    if path.suffix == ".safetensors":
        _refuse_header(path, size)
        return
    if zipfile.is_zipfile(path):
        _refuse_archive(path, size)
    if claim := excess_in_pickles(path, size):
        raise _refused(path, f"it asks for {claim}; the file has {_in_words(size)}")


def refuse_excessive_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Refuse tensors that share a few stored values, but expand to more than fits into memory."""
    free = free_memory()
    _refuse_count(path, len(tensors))
    for name, tensor in tensors.items():
        leased = tensor.numel() * tensor.element_size()
        if free is not None and leased > free:
            why = f"its tensor `{name}` expands to {_in_words(leased)}, and {_in_words(free)}"
            raise _refused(path, f"{why} of memory are free")


def free_memory() -> int | None:
    """Bytes that a process may still take, by the system and its container; None if unknown."""
    limits = [*_memory_available(), *_memory_limit()]
    return min(limits, default=None)


def _memory_available() -> Iterator[int]:
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        if line.startswith("MemAvailable:"):
            yield int(line.split()[1]) * 1024


def _memory_limit() -> Iterator[int]:
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text("ascii").strip()
    except (OSError, ValueError):
        return
    if limit.isdigit():
        yield int(limit)


def _refuse_header(path: Path, size: int) -> None:
    """What a .safetensors file says of itself; a header that is none is left to the loader."""
    with path.open("rb") as file:
        length = struct.unpack("<Q", file.read(8).ljust(8, b"\0"))[0]
        if length > min(size - 8, MOST_HEADER_BYTES):
            raise _refused(
                path, f"its header claims {_in_words(length)}, the file has {_in_words(size)}"
            )
        try:
            header = json.loads(file.read(length))
            described = [(name, about) for name, about in header.items() if name != "__metadata__"]
            claims = [(name, *_leased(about)) for name, about in described]
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return
    _refuse_count(path, len(claims))
    for name, values, end in claims:
        if end > size or values > 8 * size:  # a value has at least a bit
            raise _refused(
                path,
                f"its header claims {values:,} values up to byte {end:,} for `{name}`, the file "
                f"has {_in_words(size)}",
            )


def _leased(about: Mapping[str, list[int]]) -> tuple[int, int]:
    """Values of a tensor, and where its bytes end."""
    return math.prod(about["shape"]), int(about["data_offsets"][1])


def _refuse_archive(path: Path, size: int) -> None:
    """A .pth archive holds its tensors as they are, so it is never smaller than its members."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError):  # no whole archive
        return  # the loader says why
    _refuse_count(path, len(members))
    leased = sum(member.file_size for member in members)
    if leased > size:
        raise _refused(
            path,
            f"its members unpack to {_in_words(leased)}, the file has {_in_words(size)}; "
            "torch.save packs nothing, so it is no file of torch's",
        )


def _refuse_count(path: Path, count: int) -> None:
    if count > MOST_TENSORS:
        raise _refused(path, f"has {count:,} tensors; at most {MOST_TENSORS:,} are loaded")


def _refused(path: Path, why: str) -> InputError:
    advice = "Save the state dict alone, best as .safetensors, and see where the file came from"
    return InputError.at(path, f"is not loaded: {why}. {advice}")


def _in_words(size: int) -> str:
    return f"{size:,} bytes"
