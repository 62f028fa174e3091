"""Whether the processes of a loader have the shared memory to hand their batches over in."""

from __future__ import annotations

import os
from collections.abc import Callable

from alspec.models.input.loader import Feed

SHARED_MEMORY = "/dev/shm"  # noqa: S108 - looked at, not written
AHEAD = 3
"""Batches in it for each process: two that wait, one that is made."""


def affordable_workers(feed: Feed, workers: int, warn: Callable[[str], None]) -> int:
    """The loader processes that a training starts: those asked for, or none where they would hang.

    A process that finds no room there waits for ever, and the training with it.

    Args:
        feed: the training's batches.
        workers: processes asked for.
        warn: called with what is missing and what to do.
    """
    if not workers or not hasattr(os, "statvfs"):
        return workers
    try:
        about = os.statvfs(SHARED_MEMORY)
    except OSError:
        return workers
    free, needed = about.f_bavail * about.f_frsize, AHEAD * workers * feed.batch_bytes()
    if free >= needed:
        return workers
    warn(
        f"batches are prepared without loader processes: {workers} need {needed / 1e6:,.0f} MB of "
        f"shared memory, and {SHARED_MEMORY} has {free / 1e6:,.0f} MB free. Enlarge it (docker run "
        "--shm-size=2g), or use fewer --loader-workers"
    )
    return 0
