"""Processes as the tests of the executor and of real runs look at them."""

from __future__ import annotations

import os
import select


def has_ended(pid):
    """Whether a process is gone, or goes within seconds: a killed one dies a moment later."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], 10)[0])
    finally:
        os.close(descriptor)
