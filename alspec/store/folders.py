"""The folders of a store, by what they hold: the only place that knows their names."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_RENAMED = {"kept": "retention", "aside": "quarantine"}
"""Folders of version 0.1 and what they are called since."""


@dataclass(frozen=True)
class StoreFolders:
    """Everything in a store beside the committed steps, which lie at `root / key`."""

    root: Path

    @property
    def drafts(self) -> Path:
        """Steps that are being written."""
        return self.root / "drafts"

    @property
    def recipes(self) -> Path:
        """What workers are asked to do, one file a step."""
        return self.root / "recipes"

    @property
    def leases(self) -> Path:
        """Which process works on which step."""
        return self.root / "leases"

    @property
    def failures(self) -> Path:
        """How steps failed last, one file a step that did and is not done since."""
        return self.root / "failures"

    @property
    def retention(self) -> Path:
        """Which weights each study retains, one file a study."""
        return self.root / "retention"

    @property
    def checkpoints(self) -> Path:
        """States that interrupted trainings continue from, one folder a step."""
        return self.root / "checkpoints"

    @property
    def quarantine(self) -> Path:
        """Corrupt steps, moved out of the way."""
        return self.root / "quarantine"

    @property
    def checked(self) -> Path:
        """Data outside the store that was read and found good, one file an identity."""
        return self.root / "checked"

    @property
    def contents(self) -> Path:
        """What datasets first contained, one file a fingerprint; part of what keys mean."""
        return self.root / "contents"

    @property
    def throughput(self) -> Path:
        """How fast finished steps were, one file a kind of device."""
        return self.root / "throughput"

    @property
    def specs(self) -> Path:
        """Which spec each study's folder belongs to, one file a study."""
        return self.root / "specs"

    @property
    def published(self) -> Path:
        """What each study's published files were made from."""
        return self.root / "published"

    @property
    def images(self) -> Path:
        """Decoded images; may be removed at any time."""
        return self.root / "images"

    @property
    def trusted(self) -> tuple[Path, ...]:
        """Folders that decide what a run does and believes; others must not write there."""
        inside = (self.recipes, self.leases, self.failures, self.drafts, self.checkpoints)
        return (self.root, *inside, self.retention, self.checked, self.contents, self.images)

    @property
    def written_beside(self) -> tuple[Path, ...]:
        """Folders whose files are written beside their name and renamed: a kill leaves halves."""
        notes = (self.checked, self.contents, self.throughput, self.published, self.specs)
        return (self.drafts, self.recipes, self.failures, self.retention, *notes)

    def adopt_old_names(self) -> None:
        """Rename what version 0.1 called otherwise; nothing where that cannot be done."""
        for old, new in _RENAMED.items():
            if not (self.root / new).exists():
                with suppress(OSError):
                    (self.root / old).rename(self.root / new)
