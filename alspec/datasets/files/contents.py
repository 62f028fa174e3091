"""What files hold: the SHA-256 of each, known again by its state while nothing touches it."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alspec.errors import DataError
from alspec.system.array_cache import ArrayCache

SETTLED_SECONDS = 2.0
"""A file changed less long ago could change again without its times showing it."""

DIGEST_BYTES = 32
_HASHERS = 4
_STATE = ("size", "changed", "state changed", "inode")
_LARGEST = (1 << 63) - 1
_VERSION = 1


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file as a listing found it.

    Attributes:
        name: below the dataset's root, with forward slashes: the same wherever the tree lies.
        path: where it lies.
        state: as the system described it; None for a link to nothing.
        linked: whether it is a link itself.
    """

    name: str
    path: str
    state: os.stat_result | None
    linked: bool = False

    @property
    def bytes(self) -> int:
        """Its size; 0 for a link to nothing."""
        return self.state.st_size if self.state else 0


class FileContents:
    """The digests of a tree's files, cached by size, times of change and inode.

    Args:
        cache: where earlier processes saved them.
        root: the tree; one tree's digests are cached together.
    """

    def __init__(self, cache: ArrayCache, root: Path) -> None:
        digest = hashlib.sha256(os.fsencode(os.path.realpath(root))).hexdigest()
        self._name = f"contents-{_VERSION}-{digest[:32]}"
        self._digests: dict[str, tuple[tuple[int, ...], bytes]] = dict(
            _saved(cache.load(self._name) or {})
        )
        self._changed = False

    def known(self, file: ListedFile) -> bytes | None:
        """The digest of a file that nothing touched since it was hashed; None for others."""
        found = self._digests.get(file.name)
        return found[1] if found and found[0] == _state(file) else None

    def remember(self, file: ListedFile, digest: bytes, hashed_at: float) -> None:
        """Keep a digest for as long as nothing touches the file.

        Args:
            file: as it was listed before it was hashed.
            digest: its SHA-256.
            hashed_at: when the hashing began, in seconds since the epoch.
        """
        state = file.state
        if state is None:
            return
        if hashed_at - max(state.st_mtime, state.st_ctime) > SETTLED_SECONDS:
            self._digests[file.name] = _state(file), digest
            self._changed = True

    def digests(
        self, files: Sequence[ListedFile], hashed: Callable[[int], None] = lambda _: None
    ) -> list[bytes]:
        """The digest of each file; those that are not known are hashed, in threads.

        Args:
            files: of the tree.
            hashed: called with the files hashed so far.

        Raises:
            DataError: a file cannot be read.
        """
        found = [self.known(file) for file in files]
        missing = [row for row, digest in enumerate(found) if digest is None]
        with ThreadPoolExecutor(_HASHERS, thread_name_prefix="hash") as pool:
            began = time.time()
            made = pool.map(lambda row: sha256_of_file(files[row].path), missing)
            for count, (row, digest) in enumerate(zip(missing, made, strict=True), start=1):
                found[row] = digest
                self.remember(files[row], digest, began)
                hashed(count)
        return [digest for digest in found if digest is not None]

    def save(self, cache: ArrayCache) -> None:
        """Cache what is known; nothing where nothing is new."""
        if not self._changed:
            return
        names = "\n".join(self._digests)
        states = np.array([state for state, _ in self._digests.values()], np.int64)
        joined = b"".join(digest for _, digest in self._digests.values())
        digests = np.frombuffer(joined, np.uint8)
        arrays: dict[str, NDArray[np.generic]] = {
            "names": np.frombuffer(names.encode(), np.uint8),
            "states": states.reshape(-1, len(_STATE)),
            "digests": digests.reshape(-1, DIGEST_BYTES),
        }
        cache.save(self._name, arrays)


def _saved(
    arrays: Mapping[str, NDArray[np.generic]],
) -> Iterable[tuple[str, tuple[tuple[int, ...], bytes]]]:
    """Name, state and digest of each file, as `FileContents.save` wrote them."""
    try:
        names = arrays["names"].tobytes().decode().split("\n")
        states, digests = arrays["states"], arrays["digests"]
    except (KeyError, UnicodeDecodeError):
        return ()
    shapes = (states.shape, digests.shape)
    if shapes != ((len(names), len(_STATE)), (len(names), DIGEST_BYTES)):
        return ()
    raw = digests.astype(np.uint8).tobytes()
    split = (raw[at : at + DIGEST_BYTES] for at in range(0, len(raw), DIGEST_BYTES))
    return zip(names, zip(map(tuple, states.tolist()), split, strict=True), strict=True)


def sha256_of_file(path: str) -> bytes:
    """The SHA-256 of a file. Raises DataError if it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            digest = hashlib.sha256()
            while block := file.read(1 << 20):
                digest.update(block)
            return digest.digest()
    except OSError as err:
        raise DataError.at(path, f"it cannot be read ({err.strerror or err})") from err


def combined(named: Iterable[tuple[str, bytes]]) -> str:
    """SHA-256 over the names and digests of files, whatever order they come in."""
    digest = hashlib.sha256()
    for name, content in sorted(named):
        digest.update(f"{name}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _state(file: ListedFile) -> tuple[int, ...]:
    if file.state is None:
        return ()
    state = file.state
    return (state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino & _LARGEST)
