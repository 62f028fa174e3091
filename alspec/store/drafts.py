"""Draft folders: where a step is written until it is whole."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

from alspec.system.processes import is_abandoned, is_left_behind, process_tag

_OF_STEP = re.compile(r"[0-9a-f]{16}-")


def new_draft(drafts: Path, key: str) -> Path:
    """Make an empty folder for a step, and remove what killed processes of this machine left.

    Args:
        drafts: the folder of all drafts.
        key: the step's.
    """
    drafts.mkdir(parents=True, exist_ok=True)
    for left in drafts.glob(f"{key[:16]}-*"):
        if is_abandoned(left.name):
            shutil.rmtree(left, ignore_errors=True)
    folder = drafts / f"{key[:16]}-{process_tag()}"
    folder.mkdir()
    return folder


def sweep(folder: Path, pattern: str = "*") -> None:
    """Remove the half-written files and folders in a folder whose writers are gone."""
    for path in list(folder.glob(pattern)):
        if path.is_dir() and not path.is_symlink():
            if is_abandoned(path.name):
                shutil.rmtree(path, ignore_errors=True)
        elif is_left_behind(path):
            with suppress(OSError):  # somebody else's, in a folder of a group
                path.unlink(missing_ok=True)


def sweep_unleased(drafts: Path, leased: Callable[[], Collection[str]]) -> None:
    """Remove the drafts of steps that nobody works on, whatever machine began them.

    A draft lies there only while its step is leased, so one without a lease is what a machine that
    was switched off has left.

    Args:
        drafts: the folder of all drafts.
        leased: gives the keys that have a lease; asked after the drafts are listed.
    """
    there = [path for path in drafts.glob("*-*") if _OF_STEP.match(path.name)]
    if not there:
        return
    busy = {key[:16] for key in leased()}
    for path in there:
        if path.name[:16] not in busy:
            shutil.rmtree(path, ignore_errors=True)
