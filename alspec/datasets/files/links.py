"""Refuses files that links lead to outside of a dataset's root, unless its spec follows them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from alspec.datasets.files.contents import ListedFile
from alspec.errors import DataError, Problem


def refuse_outside(root: Path, files: Iterable[ListedFile]) -> None:
    """Look at where listed files really lie.

    Args:
        root: of the dataset; it may itself be a link.
        files: as listed; reading reports those that are gone.

    Raises:
        DataError: the first file, or folder on the way to it, that leads out of the root.
    """
    home = os.path.realpath(root)
    folders: dict[str, str] = {}
    for file in files:
        folder = file.path.rpartition(os.sep)[0] or "."
        if folder not in folders:
            folders[folder] = os.path.realpath(folder)
            _refuse(home, folders[folder], folder)
        if file.linked:
            _refuse(home, os.path.realpath(file.path), file.path)


def _refuse(home: str, real: str, shown: str) -> None:
    if real != home and not real.startswith(home.rstrip(os.sep) + os.sep):
        what = (
            "a link leads out of the dataset's root. If these files are meant, say "
            "`follow_links: true`, or set `root` to the folder that holds them"
        )
        raise DataError([Problem(shown, what, loc=("root",))])
