"""Draft folders: where a step is written until it is whole."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import uuid
from pathlib import Path


def new_draft(drafts: Path, key: str) -> Path:
    """Make an empty folder for a step, and remove what killed processes of this machine left.

    Args:
        drafts: the folder of all drafts.
        key: the step's.
    """
    drafts.mkdir(parents=True, exist_ok=True)
    mine = f"{key[:16]}-{_here()}-"
    for left in drafts.glob(f"{mine}*"):
        if not _alive(left.name.removeprefix(mine).partition("-")[0]):
            shutil.rmtree(left, ignore_errors=True)
    folder = drafts / f"{mine}{os.getpid()}-{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    return folder


def _here() -> str:
    """Names this machine and, in a container, its process numbers, in 8 hexadecimal digits."""
    try:
        numbers = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - no path, a name
    except OSError:
        numbers = ""
    return hashlib.sha256(f"{socket.gethostname()} {numbers}".encode()).hexdigest()[:8]


def _alive(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except (OSError, ValueError):
        return True
    return True
