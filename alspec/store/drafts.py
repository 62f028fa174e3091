"""Draft folders: where a step is written until it is whole."""

from __future__ import annotations

import shutil
from pathlib import Path

from alspec.system.processes import is_abandoned, process_tag


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
        if is_abandoned(path.name):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
