"""Every path of one labelling project below the work directory."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from alspec.store.study_folder import StudyFolder

_NUMBER = re.compile(r"[0-9]{2,}")


@dataclass(frozen=True)
class BatchFolder:
    """The folder of one batch; it is there, with its two files, or it is not."""

    root: Path

    @property
    def number(self) -> int:
        """1 for the first batch."""
        return int(self.root.name)

    @property
    def table(self) -> Path:
        """The images, best first; written once."""
        return self.root / "batch.csv"

    @property
    def about(self) -> Path:
        """How they were chosen; written once."""
        return self.root / "batch.json"

    @property
    def proposed(self) -> Path:
        """The model's masks as they were handed over, `<name>.png`."""
        return self.root / "proposed"

    @property
    def contact_sheet(self) -> Path:
        """All images small, the proposal beside each."""
        return self.root / "contact_sheet.png"

    @property
    def received(self) -> Path:
        """What came of each delivery, `<sha256 of the delivery>.json`."""
        return self.root / "received"

    @property
    def replaced(self) -> Path:
        """Masks that a later delivery replaced."""
        return self.root / "replaced"

    def hand_over(self, tool: str) -> Path:
        """The hand-over for a tool; it can be recomputed."""
        return self.root / tool


@dataclass(frozen=True)
class ProjectFolder(StudyFolder):
    """The folder of a labelling project; `study` is the project's name."""

    @property
    def batches(self) -> Path:
        """A folder a batch."""
        return self.root / "batches"

    @property
    def trainings(self) -> Path:
        """What each model was trained on, one JSON file a training."""
        return self.root / "trainings"

    @property
    def thumbnails(self) -> Path:
        """Thumbnails of the images, for first batches; may be removed at any time."""
        return self.root / "thumbnails.npz"

    def batch(self, number: int) -> BatchFolder:
        """The folder of a batch, there or not."""
        return BatchFolder(self.batches / f"{number:02d}")

    def existing_batches(self) -> list[BatchFolder]:
        """The batches that there are, in their order."""
        found = self.batches.glob("*") if self.batches.is_dir() else ()
        numbered = (path for path in found if _NUMBER.fullmatch(path.name) and path.is_dir())
        return sorted(map(BatchFolder, numbered), key=lambda folder: folder.number)
