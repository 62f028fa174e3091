"""A study's steps on this machine: checked, then done by an executor."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from alspec.errors import InputError
from alspec.plan.dag import Plan
from alspec.plan.step import Step, StepKey
from alspec.results.leaks import SplitLeak, write_leaks
from alspec.run import loop
from alspec.run.events import EventLog
from alspec.run.executors import local
from alspec.run.executors.base import Workplace
from alspec.run.options import RunOptions
from alspec.run.preflight import data, disk
from alspec.run.preflight.models import check_models
from alspec.run.preflight.precision import note_on_precision
from alspec.run.preflight.spec import record_spec, write_spec
from alspec.run.timing import costs_of, save_throughput
from alspec.spec.load import locate_errors
from alspec.spec.model import Study
from alspec.store.study_folder import StudyFolder
from alspec.system.processes import cluster_job


@dataclass(frozen=True)
class Prepared:
    """What comes before the first step, wherever it will run.

    Attributes:
        study: as it was loaded.
        plan: the same, expanded.
        folder: the study's.
        slots: a device name a worker.
        log: hears what happens.
        options: as the caller chose.
    """

    study: Study
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
        with locate_errors(self.study):
            check_models(todo.values(), self.folder.store, note=self.log.note)

    def used(self, todo: Mapping[StepKey, Step]) -> Sequence[str]:
        """The slots that some steps can keep at work."""
        together = any(step.devices > 1 for step in todo.values())
        return self.slots if together else self.slots[: len(todo)]

    def check_data(self, todo: Collection[StepKey]) -> dict[str, SplitLeak]:
        """Read images and masks where steps will; what of each val its pool has too.

        Raises:
            InputError: what is wrong with them.
        """
        leaks: dict[str, SplitLeak] = {}
        if todo:
            data.check_data(
                self.plan.study.datasets,
                self.log.reading,
                self.folder.store,
                self.log.note,
                lambda name, found: leaks.update({name: SplitLeak.of(found)}),
            )
        data.record_contents(self.plan, self.folder.store)
        return leaks

    def record(self, leaks: Mapping[str, SplitLeak] | None = None) -> None:
        """Write the resolved spec, whose folder this is, and what `check_data` found anew."""
        if leaks is not None:
            write_leaks(self.folder, leaks)
        record_spec(self.plan.study, self.folder)
        write_spec(self.plan.study, self.folder, full_paths=self.options.full_paths)

    def costs(self, todo: Mapping[StepKey, Step]) -> dict[StepKey, float]:
        """What each of some steps will cost, relative to the others."""
        if not todo:
            return {}
        costs = costs_of(self.plan, self.folder.store, todo, self.slots[0])
        return {key: costs[key] for key in todo}


@dataclass(frozen=True)
class LocalSteps:
    """Has an executor of this machine do a study's steps.

    Attributes:
        prepared: what comes before.
        among: the steps that are wanted; None for all.
    """

    prepared: Prepared
    among: Collection[StepKey] | None

    def run(self, todo: Mapping[StepKey, Step]) -> loop.RunSummary:
        """Run some steps; models, disk and data are checked before the first."""
        before, options = self.prepared, self.prepared.options
        before.check_disk_and_models(todo)
        store, slots, log = before.folder.store, before.used(todo), before.log
        logs = before.folder.logs_of(cluster_job())
        place = Workplace(store.root.absolute(), slots, logs, options.loader_workers)
        executor = (options.make_executor or local.LocalExecutor)(place)
        try:
            with locate_errors(before.study), made(before.folder):
                executor.warm_up()
                leaks = before.check_data(todo)
            before.record(leaks if todo else None)
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


@contextmanager
def made(folder: StudyFolder) -> Iterator[None]:
    """A study's folder for workers to log in; for bad data what is empty in it is removed again."""
    folder.root.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except InputError:
        if not folder.spec.exists():  # no run of this study got further
            folder.remove_empty()
        raise
