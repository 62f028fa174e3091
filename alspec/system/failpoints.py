"""Named points of every write, where tests have the process killed or the disk fail."""

from __future__ import annotations

import errno
import os
import signal
from collections import Counter

FAULT = "ALSPEC_FAULT"
"""`<point>:<n>:<cause>`: what happens when a process passes a point the n-th time.

The cause is `kill`, `stop` (the process stands still, to be killed from outside), or an error of
the disk by its name, as `ENOSPC`.
"""

_SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}
_passed: Counter[str] = Counter()


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
    _passed[point] += 1
    name, number, cause = wanted.split(":")
    if (name, number) != (point, str(_passed[point])):
        return
    if cause in _SIGNALS:
        os.kill(os.getpid(), _SIGNALS[cause])
        return
    code = getattr(errno, cause)
    raise OSError(code, os.strerror(code), str(path))


def passed() -> dict[str, int]:
    """How often each point was passed while a fault was asked for."""
    return dict(_passed)
