"""What listing a large tree gave, for as long as its files keep their names and sizes."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alspec.datasets.base import Frame, ImageId
from alspec.system.array_cache import ArrayCache

FEWEST = 2000
"""Number of files below which listing again is as quick."""

_VERSION = 1


@dataclass(frozen=True, slots=True)
class KnownListing:
    """A split as it was listed.

    Attributes:
        frames: in time order.
        fingerprint: of its files' names and sizes.
    """

    frames: tuple[Frame, ...]
    fingerprint: str


class ListingCache:
    """Finds what the same tree gave before; every file is looked at, but neither sorted nor paired.

    Args:
        root: of the dataset.
        folders: below it, that the split's files lie in.
        key: everything besides the files that decides what a listing gives.
    """

    def __init__(self, root: str, folders: Sequence[str], key: str) -> None:
        self._cache = ArrayCache.of_user()
        text = f"{_VERSION}\0{os.path.realpath(root)}\0{key}"
        self._name = f"listing-{hashlib.sha256(text.encode()).hexdigest()[:32]}"
        self._files, self._snapshot = _snapshot(root, folders)

    def find(self) -> KnownListing | None:
        """The listing, if nothing changed since it was saved."""
        if self._files < FEWEST:
            return None
        arrays = self._cache.load(self._name) or {}
        try:
            if arrays["snapshot"].tobytes() != self._snapshot:
                return None
            ids, sequences = (_lines(arrays[name]) for name in ("ids", "sequences"))
            which = arrays["which"].tolist()
            frames = tuple(
                Frame(ImageId(image), sequences[at]) for image, at in zip(ids, which, strict=True)
            )
            return KnownListing(frames, arrays["fingerprint"].tobytes().decode("ascii"))
        except (KeyError, ValueError, IndexError):
            return None

    def save(self, listing: KnownListing) -> None:
        """Keep what listing the tree gave, unless it is small."""
        if self._files < FEWEST:
            return
        names = {frame.sequence: None for frame in listing.frames}
        rank = {name: at for at, name in enumerate(names)}
        arrays: dict[str, NDArray[np.generic]] = {
            "snapshot": np.frombuffer(self._snapshot, np.uint8),
            "ids": _bytes("\n".join(frame.id for frame in listing.frames)),
            "sequences": _bytes("\n".join(names)),
            "which": np.array([rank[frame.sequence] for frame in listing.frames], np.int32),
            "fingerprint": _bytes(listing.fingerprint),
        }
        self._cache.save(self._name, arrays)


def _bytes(text: str) -> NDArray[np.uint8]:
    return np.frombuffer(text.encode(), np.uint8)


def _lines(array: NDArray[np.generic]) -> list[str]:
    return array.tobytes().decode().split("\n")


def _snapshot(root: str, folders: Sequence[str]) -> tuple[int, bytes]:
    """How many files there are, and the SHA-256 of their names and sizes as the system lists them.

    Raises:
        OSError: a folder is not there, or cannot be read.
    """
    names: list[str] = []
    sizes: list[int] = []
    for folder in folders:
        _walk(os.path.join(root, folder), names, sizes, set())  # noqa: PTH118
        names.append("\0")
    digest = hashlib.sha256("\n".join(names).encode("utf-8", "surrogateescape"))
    digest.update(np.array(sizes, np.int64).tobytes())
    return len(sizes), digest.digest()


def _walk(path: str, names: list[str], sizes: list[int], seen: set[str]) -> None:
    """Add every file below a folder that is not hidden, as `listing` finds them."""
    real = os.path.realpath(path)
    if real in seen:
        return
    seen.add(real)
    with os.scandir(path) as entries:
        for entry in entries:
            name = entry.name
            if name.startswith("."):
                continue
            try:
                about = entry.stat()
            except OSError:  # a link to nothing
                names.append(f"{path}/{name}")
                sizes.append(-1)
                continue
            if stat.S_ISREG(about.st_mode):
                names.append(name)
                sizes.append(about.st_size)
            elif stat.S_ISDIR(about.st_mode):
                names.append(f"{path}/{name}/")
                _walk(f"{path}/{name}", names, sizes, seen)
