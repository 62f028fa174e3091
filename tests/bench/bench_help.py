"""`alspec --help` in a process of its own: at most 0.3 s, the median of five."""

from __future__ import annotations

from collections.abc import Iterator

from command import seconds_of
from figure import Figure

LIMIT = 0.3


def figures() -> Iterator[Figure]:
    """The command's wall time, process start included."""
    took = seconds_of("--help")
    yield Figure("help", LIMIT / took, 1, f"{took:.2f} s of {LIMIT} s")
