"""Has processes do one after another what one of them should do, and others need not again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alspec.store.leases import Leases

LONGEST_WAIT_SECONDS = 300.0
"""For others; what is done in turns does no harm if it is done at once."""

LOOK_SECONDS = 0.5


@contextmanager
def own_turn(leases: Path, name: str) -> Iterator[bool]:
    """Wait for other living processes in a block of this name, on whatever machines.

    Not for ever: after `LONGEST_WAIT_SECONDS` the block is entered beside them.

    Args:
        leases: folder of the leases of a store.
        name: of the block, of letters, digits and dashes; no step's key.

    Yields:
        Whether another one was in it meanwhile, and may have done all there was to do.
    """
    mine, waited, until = Leases(leases), False, time.monotonic() + LONGEST_WAIT_SECONDS
    try:
        while mine.take(name) is not None and time.monotonic() < until:
            waited = True
            time.sleep(LOOK_SECONDS)
        yield waited
    finally:
        mine.close()
