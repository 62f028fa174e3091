"""Which weights stay on disk: each study registers what it retains and has yet to read."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypedDict, TypeVar

from alspec.errors import StoreError
from alspec.system import failpoints
from alspec.system.atomic import json_text, write_text

Key = TypeVar("Key", bound=str)


class _Entry(TypedDict):
    """A study's file: the trainings whose weights it retains, and what is to read which weights."""

    study: str
    keeps: Sequence[str]
    readers: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Retention:
    """What the studies of a store have registered, a file a study, `<study>.json`.

    A study registers the weights it retains when it is run; its entry holds until it is run again
    or its file is removed.

    Attributes:
        folder: theirs alone; made when the first study registers.
    """

    folder: Path

    def register(
        self, study: str, keeps: Collection[str], readers: Mapping[Key, Collection[str]]
    ) -> None:
        """Write a study's entry, unless it is there already.

        Args:
            study: its name.
            keeps: keys of the trainings whose weights it retains.
            readers: key of a training to the keys of the study's steps that read its weights.

        Raises:
            OSError: it cannot be written.
        """
        path = self.folder / f"{study}.json"
        wants = {"keeps": sorted(keeps), "readers": {k: sorted(v) for k, v in readers.items()}}
        text = json_text({"study": study, **wants})
        try:
            if path.read_text("utf-8") == text:
                return
        except (OSError, ValueError):
            pass
        failpoints.at("retention.write", path)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_text(path, text)

    def may_drop(self, key: str, is_done: Callable[[str], bool]) -> bool:
        """Whether no study retains a training's weights, or has yet to read them.

        Args:
            key: the training's.
            is_done: whether a step is finished.
        """
        return not any(_wants(entry, key, is_done) for entry in self._entries())

    def _entries(self) -> Iterator[_Entry | None]:
        """Every study's entry; None for one that cannot be read."""
        for path in sorted(self.folder.glob("*.json")):
            try:
                about = path.stat()
                yield _parsed(path, (about.st_ino, about.st_mtime_ns, about.st_size))
            except FileNotFoundError:
                continue
            except (OSError, ValueError):
                yield None


@lru_cache(maxsize=64)
def _parsed(path: Path, version: tuple[int, int, int]) -> _Entry:
    """A study's entry: megabytes for ten thousand steps, and asked for at the end of many."""
    entry: _Entry = json.loads(path.read_text("utf-8"))
    return entry


def _wants(entry: _Entry | None, key: str, is_done: Callable[[str], bool]) -> bool:
    """Whether a study wants a training's weights; one that cannot be understood wants all."""
    if entry is None:
        return True
    try:
        return key in entry["keeps"] or not all(map(is_done, entry["readers"].get(key, ())))
    except (LookupError, TypeError, AttributeError, StoreError):
        return True
