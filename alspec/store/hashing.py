"""SHA-256 of files, each read once a process for as long as nothing touches it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from alspec.errors import InputError
from alspec.system.atomic import sha256_of

SETTLED_SECONDS = 2.0
"""A file changed less long ago could change again without its times showing it."""

_State: TypeAlias = tuple[str, int, int, int, int, int]
"""Path, device, inode, size, and the times of the last change of content and of anything."""

_known: dict[_State, str] = {}
"""By path and the state that the file was read in; in memory alone, so every run reads again."""


def sha256_once(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal; read again if it is another file or was touched since.

    Raises:
        OSError: it cannot be read.
    """
    state = _state_of(path)
    if state in _known:
        return _known[state]
    digest = sha256_of(path)
    if _is_settled(state):
        _known[state] = digest
    return digest


@contextmanager
def as_planned(path: Path, sha256: str) -> Iterator[None]:
    """Read a file inside the block that is, while it is read, the one that was hashed before.

    It is hashed before the block and, if it changed so lately that its times cannot show it, once
    more after it; for a file that rests, the hash of an earlier block serves.

    Args:
        path: the file.
        sha256: as it was planned with.

    Raises:
        InputError: it is another one, or became another one in the block.
    """
    before = _found(path, sha256)
    yield
    after = _state_of(path)
    if after != before or not _is_settled(after):
        _found(path, sha256)
        if after != before:
            raise InputError.at(path, _CHANGED)


_CHANGED = (
    "it changed since the study was planned, so nothing is made of it. Put it back, or run again "
    "to plan with the file as it is now"
)


def _found(path: Path, sha256: str) -> _State:
    """The state of a file of that content. Raises InputError for another one, or for none."""
    try:
        state = _state_of(path)
        digest = sha256_once(path)
        settled = _state_of(path) == state
    except OSError as err:
        what = f"it was there when the study was planned, and cannot be read now ({err.strerror})"
        raise InputError.at(path, what) from err
    if digest != sha256 or not settled:
        raise InputError.at(path, _CHANGED)
    return state


def _state_of(path: Path) -> _State:
    about = path.stat()
    times = (about.st_mtime_ns, about.st_ctime_ns)
    return (str(path), about.st_dev, about.st_ino, about.st_size, *times)


def _is_settled(state: _State) -> bool:
    return time.time() - max(state[-2:]) / 1e9 > SETTLED_SECONDS
