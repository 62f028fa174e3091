"""A plan's steps on this machine, a study's or a project's: checked, then done by an executor."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from alspec.plan.dag import Plan
from alspec.plan.step import Step, StepKey
from alspec.run import loop
from alspec.run.events import EventLog
from alspec.run.executors import local
from alspec.run.executors.base import Workplace
from alspec.run.options import RunOptions
from alspec.run.preflight import disk
from alspec.run.preflight.models import check_models
from alspec.run.preflight.precision import note_on_precision
from alspec.run.timing import costs_of, save_throughput
from alspec.store.study_folder import StudyFolder
from alspec.system.processes import cluster_job


@dataclass(frozen=True)
class Prepared:
    """What comes before the first step, wherever it will run.

    Attributes:
        plan: what is to be done.
        folder: of the study or project.
        slots: a device name a worker.
        log: hears what happens.
        options: as the caller chose.
    """

    plan: Plan
    folder: StudyFolder
    slots: Sequence[str]
    log: EventLog
    options: RunOptions

    def check_disk_and_models(self, todo: Mapping[StepKey, Step]) -> None:
        """Look at what steps need of the disk, and try their models once. Raises InputError."""
        if not todo:
            return
        on_processor = any(slot.startswith("cpu") for slot in self.slots)
        if slow := note_on_precision(self.plan.study.training, processor=on_processor):
            self.log.note(slow)
        workers = len(self.used(todo))
        space = disk.disk_space_for(self.plan, todo, self.folder.store, workers)
        if warning := disk.require_disk_space(space):
            self.log.note(warning)
        check_models(todo.values(), self.folder.store, note=self.log.note)

    def used(self, todo: Mapping[StepKey, Step]) -> Sequence[str]:
        """The slots that some steps can keep at work."""
        together = any(step.devices > 1 for step in todo.values())
        return self.slots if together else self.slots[: len(todo)]

    def before_steps(self, todo: Collection[StepKey], warm_up: Callable[[], None]) -> None:
        """Make the folder that workers log in, and have them start.

        Args:
            todo: the steps that will run.
            warm_up: starts workers.
        """
        self.folder.root.mkdir(parents=True, exist_ok=True)
        warm_up()

    def costs(self, todo: Mapping[StepKey, Step]) -> dict[StepKey, float]:
        """What each of some steps will cost, relative to the others."""
        if not todo:
            return {}
        costs = costs_of(self.plan, self.folder.store, todo, self.slots[0])
        return {key: costs[key] for key in todo}


@dataclass(frozen=True)
class LocalSteps:
    """Has an executor of this machine do a plan's steps.

    Attributes:
        prepared: what comes before.
        among: the steps that are wanted; None for all.
    """

    prepared: Prepared
    among: Collection[StepKey] | None = None

    def run(self, todo: Mapping[StepKey, Step]) -> loop.RunSummary:
        """Run some steps; all is checked before the first."""
        before, options = self.prepared, self.prepared.options
        before.check_disk_and_models(todo)
        store, slots, log = before.folder.store, before.used(todo), before.log
        logs = before.folder.logs_of(cluster_job())
        place = Workplace(store.root.absolute(), slots, logs, options.loader_workers)
        executor = (options.make_executor or local.LocalExecutor)(place)
        try:
            before.before_steps(todo, executor.warm_up)
            log.steps_begin(before.costs(todo), waits=options.patience > 0)
            try:
                return loop.run(
                    before.plan, store, executor, log, patience=options.patience, among=self.among
                )
            finally:
                log.steps_end()
        finally:
            executor.close()
            save_throughput(before.plan, store, todo, before.slots[0])
