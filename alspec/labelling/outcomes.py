"""What people get of what they do with a project: a batch, what came of deliveries, results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from alspec.labelling.batches import Batch
from alspec.labelling.state import State
from alspec.labelling.summary import Summary
from alspec.labelling.taking import Ingested
from alspec.store.project_folder import ProjectFolder

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, slots=True)
class CheckedProject:
    """A project whose files are good.

    Attributes:
        images: that were read.
        masks: that were read.
    """

    images: int
    masks: int


@dataclass(frozen=True, slots=True)
class Selection:
    """A batch that waits for labels, and where it lies for people.

    Attributes:
        batch: its images, best first, and how they were chosen.
        new: whether it was made now.
        hand_over: the folder for the annotation tool.
        state: of the project, with the batch.
    """

    batch: Batch
    new: bool
    hand_over: Path
    state: State

    @property
    def waiting(self) -> int:
        """Images of the batch that did not come back yet."""
        return len(self.state.waiting(self.batch))


@dataclass(frozen=True, slots=True)
class Ingestion:
    """What came of deliveries.

    Attributes:
        deliveries: each with the verdicts on its images and what was refused.
        state: of the project, after them.
    """

    deliveries: Sequence[Ingested]
    state: State

    @property
    def waiting(self) -> int:
        """Images of any batch that did not come back yet."""
        return sum(len(self.state.waiting(batch)) for batch in self.state.batches)


@dataclass(frozen=True)
class ProjectResults:
    """What a project has come to.

    Attributes:
        folder: `work_dirs/<project>`.
        summary: state, batches, measures, and what more labels are worth.
    """

    folder: ProjectFolder
    summary: Summary

    @property
    def ok(self) -> bool:
        """Whether a model was trained on all that is labelled."""
        return self.summary.worth is not None and self.summary.untrained == 0

    @property
    def report(self) -> Path:
        """The path of report.md."""
        return self.folder.report

    @property
    def results(self) -> DataFrame:
        """One row a measured labelled set: labelled_images, miou in percent, its interval."""
        from pandas import DataFrame

        points = self.summary.worth.points if self.summary.worth else ()
        return DataFrame(points, columns=["labelled_images", "miou", "miou_low", "miou_high"])

    @property
    def batches(self) -> DataFrame:
        """One row a batch: method, images asked for and what became of them, hours."""
        from pandas import DataFrame

        columns = ["batch", "method", "asked", "check", "labelled", "rejected", "waiting", "hours"]
        return DataFrame([batch.to_json() for batch in self.summary.batches], columns=columns)
