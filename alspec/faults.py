"""Named points of every write, where tests have the process killed or the disk fail."""

from __future__ import annotations

import errno
import os
import signal
from collections import Counter

FAULT = "ALSPEC_FAULT"
"""`<point>:<n>:kill` or `<point>:<n>:ENOSPC`: what happens when a point is passed the n-th time."""

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
    if cause == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    code = getattr(errno, cause)
    raise OSError(code, os.strerror(code), str(path))


def passed() -> dict[str, int]:
    """How often each point was passed while a fault was asked for."""
    return dict(_passed)
