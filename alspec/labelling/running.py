"""Runs a project's plans as a study's are run: same checks, store, leases, executors and repair."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from alspec.datasets.kinds.partly_labelled import PartlyLabelled
from alspec.errors import DataError, InputError, Problem
from alspec.labelling.services import Services
from alspec.plan.absolute_paths import project_with_absolute_paths
from alspec.plan.config_file import require_trust
from alspec.plan.dag import Plan
from alspec.run.events import EventLog
from alspec.run.executors.base import ExecutorFactory
from alspec.run.loop import RunSummary
from alspec.run.observer import Observer
from alspec.run.options import RunOptions
from alspec.run.plan_steps import LocalSteps, Prepared
from alspec.run.preflight.spec import write_spec
from alspec.run.repair import run_to_publication
from alspec.spec.load import locate_errors
from alspec.spec.project import Project
from alspec.store.permissions import check_owners
from alspec.store.project_folder import ProjectFolder

SECONDS = 15.0
"""Between two lines on something that takes long outside of steps."""

_SHOWN = 20


@dataclass(frozen=True)
class PlanRunner:
    """Runs a plan of a project to its end.

    Attributes:
        folder: the project's.
        slots: a device name a worker.
        observer: hears what happens.
        executor: makes the executor of steps; local worker processes if None.
        trusted: training may run the project's own config.
    """

    folder: ProjectFolder
    slots: Sequence[str]
    observer: Observer
    executor: ExecutorFactory | None = None
    trusted: bool = False

    def __call__(self, plan: Plan) -> RunSummary:
        """Run what of a plan is not done."""
        require_trust(plan.study, trusted=self.trusted)
        log = EventLog(self.folder, self.observer)
        for warning in check_owners(self.folder.store.root):
            log.note(warning)
        options = RunOptions(executor=self.executor, trust_config=self.trusted)
        steps = LocalSteps(Prepared(plan, self.folder, self.slots, log, options))
        summary, _ = run_to_publication(plan, self.folder.store, steps.run, lambda: None, log.note)
        return summary


def check_files(project: Project, folder: ProjectFolder, observer: Observer) -> None:
    """Read every image and mask, unless exactly these have been found good before.

    Raises:
        DataError: all that is wrong with them.
    """
    dataset = PartlyLabelled(project.dataset)
    identity = dataset.identity()
    if not folder.store.is_checked(identity):
        read_files(dataset, observer)
        folder.store.note_checked(identity, {"project": project.project})


def read_files(dataset: PartlyLabelled, observer: Observer) -> None:
    """Read every image and mask. Raises DataError with all that is wrong with them."""
    problems: list[Problem] = []
    for done, found in enumerate(dataset.check(), start=1):
        problems += found
        observer.reading(dataset.spec.name, done)
    if problems:
        more = len(problems) - _SHOWN
        last = [Problem(dataset.spec.name, f"and {more} more problems")] if more > 0 else []
        raise DataError([*problems[:_SHOWN], *last])


def services_of(
    project: Project,
    folder: ProjectFolder,
    slots: Sequence[str],
    observer: Observer,
    *,
    executor: ExecutorFactory | None = None,
    trusted: bool = False,
) -> Services:
    """What the project's commands need, for an observer; its folder and spec are there then."""
    write_spec(project_with_absolute_paths(project), folder)
    origin = project._origin
    return Services(
        run_plan=PlanRunner(folder, slots, observer, executor, trusted),
        devices=slots,
        note=observer.note,
        progress=_Progress(observer),
        project=str(origin.path) if origin else "project.yaml",
    )


@dataclass
class _Progress:
    """A line now and then on what takes long outside of steps."""

    observer: Observer
    noted_at: float = 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        self.noted_at = self.noted_at or now
        if now - self.noted_at >= SECONDS and done < total:
            self.noted_at = now
            self.observer.note(f"{what}: {done} of {total}")


@contextmanager
def opened(project: Project) -> Iterator[Project]:
    """The project with its label map read; problems inside the block name its own fields."""
    with locate_errors(project):
        try:
            yield project.model_copy(update={"dataset": project.dataset.resolved()})
        except InputError as err:
            raise type(err)([replace(p, loc=_own(p.loc)) for p in err.problems]) from err


def _own(loc: tuple[str | int, ...]) -> tuple[str | int, ...]:
    return ("dataset", *loc[2:]) if loc[:1] == ("datasets",) else loc
