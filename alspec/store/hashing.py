"""SHA-256 of files, each read once a process for as long as nothing touches it."""

from __future__ import annotations

import time
from pathlib import Path

from alspec.system.atomic import sha256_of

SETTLED_SECONDS = 2.0
"""A file changed less long ago could change again without its times showing it."""

_known: dict[tuple[str, int, int, int, int, int], str] = {}
"""By path and the state that the file was read in; never written down, so every run reads anew."""


def sha256_once(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal; read again if it is another file or was touched since.

    Raises:
        OSError: it cannot be read.
    """
    about = path.stat()
    times = (about.st_mtime_ns, about.st_ctime_ns)
    state = (str(path), about.st_dev, about.st_ino, about.st_size, *times)
    if state in _known:
        return _known[state]
    digest = sha256_of(path)
    if time.time() - max(times) / 1e9 > SETTLED_SECONDS:
        _known[state] = digest
    return digest
