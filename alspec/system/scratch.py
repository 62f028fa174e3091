"""Temporary folders of this process; what killed processes left of theirs is removed."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alspec.system.processes import is_abandoned, process_tag

_PREFIX = "alspec-"


def new_scratch() -> Path:
    """Make an empty folder on this machine's own disk, that this user alone can read."""
    there = Path(tempfile.gettempdir())
    for left in there.glob(f"{_PREFIX}*"):
        if is_abandoned(left.name):
            shutil.rmtree(left, ignore_errors=True)
    folder = there / f"{_PREFIX}{process_tag()}"
    folder.mkdir(mode=0o700)
    return folder


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder as `new_scratch` makes it, while the block lasts."""
    folder = new_scratch()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
