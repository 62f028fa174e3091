"""Detects files that changed since a step began to rely on them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from alspec.datasets.base import Dataset, Split
from alspec.datasets.files.contents import ListedFile
from alspec.errors import DataError

FileState: TypeAlias = tuple[int, int, int]
"""Size, time of the last change of the content, and of any change, in nanoseconds: any write, and
any rename onto the path, moves the last one, which nobody can set."""


def state_of(path: str | Path) -> FileState:
    """The state of a file, of a link that of its target; of what cannot be looked at zeros."""
    try:
        return _essence(os.stat(path))  # noqa: PTH116 - 80,000 Path objects are slow
    except OSError:
        return _essence(None)


def _essence(about: os.stat_result | None) -> FileState:
    return (about.st_size, about.st_mtime_ns, about.st_ctime_ns) if about else (0, 0, 0)


def watched(dataset: Dataset, split: Split) -> WatchedFiles | None:
    """Have a dataset watch the files of a split; None for one that has no files, or cannot."""
    watch = getattr(dataset, "watch", None)
    files: WatchedFiles | None = watch(split) if watch else None
    return files


@dataclass
class WatchedFiles:
    """The states that files had when a step listed them."""

    _states: dict[str, FileState] = field(default_factory=dict)

    def add(self, files: Iterable[ListedFile]) -> None:
        """Remember the states of files as they were listed."""
        self._states.update((file.path, _essence(file.state)) for file in files)

    @contextmanager
    def reading(self, path: str) -> Iterator[None]:
        """Read a file inside the block.

        Raises:
            DataError: it is watched and was changed since, before the block or during it.
        """
        self._refuse_changed(path)
        yield
        self._refuse_changed(path)

    def last_changed(self) -> str:
        """The file or folder that changed last, with the time; empty where nothing is watched."""
        if not self._states:
            return ""
        changed = {path: state[2] for path, state in self._states.items()}
        folders = {os.path.dirname(path) for path in self._states}  # noqa: PTH120
        changed |= {folder: state_of(folder)[2] for folder in folders}
        path = max(changed, key=lambda each: (changed[each], each in self._states, each))
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(changed[path] / 1e9))
        return f"{path}, at {at}"

    def _refuse_changed(self, path: str) -> None:
        if path in self._states and state_of(path) != self._states[path]:
            what = (
                "it changed while a step was reading its dataset; that step was discarded. "
                "Run again to plan with the files as they are now"
            )
            raise DataError.at(path, what)
