"""Makes a process look as if it ran on a machine of its own: names, clock, a slow shared disk."""

from __future__ import annotations

import io
import os
import socket
import time
from collections.abc import Callable
from typing import TypedDict

from alspec.store import leases
from alspec.system import processes


class Machine(TypedDict, total=False):
    """What is said of a machine.

    Attributes:
        host: its name.
        clock: seconds by which it is ahead of the disk's.
        operation_seconds: that each operation of a file takes.
        limit: age from which the lease of another machine is that of a dead process.
        fault: as `failpoints.FAULT`.
    """

    host: str
    clock: float
    operation_seconds: float
    limit: float
    fault: str


def become(machine: Machine) -> None:
    """For the rest of this process, which should be a fork."""
    host, ahead, now = machine["host"], machine.get("clock", 0.0), time.time
    socket.gethostname = lambda: host
    time.time = lambda: now() + ahead
    for module in (processes, leases):
        setattr(module, "boot", lambda: f"boot of {host}")  # noqa: B010 - mypy has them constant
    processes.here.cache_clear()
    if "limit" in machine:
        leases.NETWORK_STALE_SECONDS = machine["limit"]
    setattr(leases, "is_on_network", lambda _: True)  # noqa: B010
    seconds = machine.get("operation_seconds", 0.0)
    for name in ("stat", "scandir", "link", "unlink", "rename", "replace", "utime"):
        setattr(os, name, _slow(getattr(os, name), seconds))
    io.open = _slow(io.open, seconds)  # type: ignore[assignment]


def _slow(function: Callable[..., object], seconds: float) -> Callable[..., object]:
    def slow(*arguments: object, **named: object) -> object:
        time.sleep(seconds)
        return function(*arguments, **named)

    return slow
