"""What a study came to, as Python users see it: counts, tables, pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from alspec.plan.dag import Plan
from alspec.plan.step import StepKey
from alspec.results.standings import comparisons
from alspec.results.table import Results, collect
from alspec.run.loop import RunSummary
from alspec.store.study_folder import StudyFolder

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame


class StepCount(int):
    """How many steps; iterate for their labels: `toy 10-10 entropy seed 0 cycle 2 train`."""

    labels: tuple[str, ...]

    def __new__(cls, labels: Iterable[str] = ()) -> StepCount:
        """Count some steps by their labels."""
        labels = tuple(labels)
        self = super().__new__(cls, len(labels))
        self.labels = labels
        return self

    def __iter__(self) -> Iterator[str]:
        return iter(self.labels)

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class StudyResults:
    """What a run of a study did, and the tables of all that is finished.

    Attributes:
        folder: `work_dirs/<study>`.
        plan: the study, expanded.
        report: the path of report.md.
        summary: what the run did, by step keys; empty where nothing was run now.
    """

    folder: StudyFolder
    plan: Plan
    report: Path
    summary: RunSummary = field(default_factory=RunSummary)

    @property
    def executed(self) -> StepCount:
        """Steps finished by this run."""
        return self._count(self.summary.executed)

    @property
    def elsewhere(self) -> StepCount:
        """Steps that other runs finished meanwhile."""
        return self._count(self.summary.elsewhere)

    @property
    def finished_before(self) -> int:
        """Steps that were done when this run began."""
        return self.summary.finished_before

    @property
    def skipped(self) -> StepCount:
        """Steps that were not run because one before them failed."""
        return self._count(self.summary.skipped)

    @property
    def failed(self) -> Mapping[str, str]:
        """Label of each failed step and why it failed."""
        return {self.plan.steps[key].label: why for key, why in self.summary.failed.items()}

    @property
    def held(self) -> Mapping[str, str]:
        """Label of each step that was left to another run, and which run that is."""
        return {self.plan.steps[key].label: str(who) for key, who in self.summary.held.items()}

    @property
    def stopped(self) -> str:
        """Why a cluster does no more steps although some are left; empty if none are."""
        return self.summary.stopped

    def _count(self, keys: Iterable[StepKey]) -> StepCount:
        return StepCount(self.plan.steps[key].label for key in keys)

    @cached_property
    def ok(self) -> bool:
        """Whether every step of the study is done."""
        return len(self.folder.store.done(self.plan.steps)) == len(self.plan.steps)

    @cached_property
    def tables(self) -> Results:
        """The rows of results.csv, classes.csv and runs.csv, read when first asked for."""
        return collect(self.plan, self.folder.store)

    @property
    def results(self) -> DataFrame:
        """One row a labelled set, the columns of results.csv; mIoU in percent."""
        return self.tables.sets

    @property
    def classes(self) -> DataFrame:
        """One row a class of a labelled set, the columns of classes.csv."""
        return self.tables.classes

    @property
    def curves(self) -> DataFrame:
        """One row a budget curve, the columns of runs.csv: AUC@B by eq. (1), mIoU at a budget."""
        return self.tables.runs

    def plot(self, setting: int = 0) -> Figure:
        """The budget curves of a setting, as in the report.

        Args:
            setting: its place in `plan.settings`.

        Raises:
            IndexError: there is no such setting, or nothing of it is finished.
        """
        from alspec.report.figures.budget_curves import curves_figure

        wanted = self.plan.settings[setting]
        compared = [c for c in comparisons(self.plan, self.tables) if c.setting == wanted]
        return curves_figure(compared[0])

    def _repr_html_(self) -> str:
        from alspec.report.notebook import html_of

        return html_of(self.folder.root)
