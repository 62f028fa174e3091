"""Named points of every write, where tests have the process killed or the disk fail."""

from __future__ import annotations

import errno
import os
import signal
from collections import Counter

from alspec.errors import InputError

FAULT = "ALSPEC_FAULT"
"""`<point>:<n>:<cause>`: what happens when a process passes a point the n-th time.

The cause is `kill`, `stop` (the process is suspended, to be killed from outside), or an error of
the disk by its name, as `ENOSPC`.
"""

_SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}
passed: Counter[str] = Counter()
"""How often each point was passed while a fault was asked for."""


def at(point: str, path: object = "") -> None:
    """Pass a named point; nothing happens unless the environment asks for a fault there.

    Args:
        point: the place in the code.
        path: what is being written, for the error.

    Raises:
        OSError: the fault that was asked for.
    """
    wanted = os.environ.get(FAULT)
    if not wanted:
        return
    passed[point] += 1
    name, number, cause = _parts(wanted)
    if (name, number) != (point, str(passed[point])):
        return
    if cause in _SIGNALS:
        os.kill(os.getpid(), _SIGNALS[cause])
        return
    code: int = getattr(errno, cause)
    raise OSError(code, os.strerror(code), str(path))


def _parts(wanted: str) -> tuple[str, str, str]:
    """Point, number and cause. Raises InputError for what is not of this form."""
    parts = wanted.split(":")
    known = len(parts) == 3 and parts[1].isdecimal()
    if not known or not (parts[2] in _SIGNALS or isinstance(getattr(errno, parts[2], None), int)):
        what = f"`{wanted}` is not understood. Write point:n:cause, as commit.rename:1:ENOSPC"
        raise InputError.at(FAULT, what)
    return parts[0], parts[1], parts[2]
