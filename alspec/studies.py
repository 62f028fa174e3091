"""What people do with a study: plan, check, run, read its results, publish it."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from alspec.errors import InputError, SpecError
from alspec.plan.config_file import require_trust
from alspec.plan.content_revisions import ContentRevisions
from alspec.plan.dag import Plan
from alspec.plan.expand import expand
from alspec.run.devices import parse_devices
from alspec.run.observer import Progress, observer_of
from alspec.spec.load import dump_study, load_study, locate_errors
from alspec.spec.model import Study
from alspec.store.study_folder import WORK_DIR, StudyFolder, writable

if TYPE_CHECKING:
    from alspec.plan.step import Step, StepKey
    from alspec.report.study_results import StudyResults
    from alspec.results.leaks import SplitLeak
    from alspec.run.events import EventLog
    from alspec.run.executors.base import ExecutorFactory
    from alspec.run.loop import RunSummary


def plan(study: Study, *, trust_config: bool = False, work_dir: str | Path = WORK_DIR) -> Plan:
    """Everything a study will do; lists files, reads no pixel, writes nothing.

    Args:
        study: as `load` gives it.
        trust_config: training may run the study's own MMSegmentation config, which is code.
        work_dir: whose store knows what the files held when it first saw them.

    Returns:
        Its `settings`, `runs` and `steps`; `table()` is a DataFrame with a row a labelled set.

    Raises:
        InputError: files that are not there, or budgets that a pool cannot fill.
    """
    contents = ContentRevisions(StudyFolder(Path(work_dir), study.study).store)
    with locate_errors(study):
        return expand(study, trust_config=trust_config, contents=contents)


@dataclass(frozen=True, slots=True)
class Checked:
    """A study that is good to run.

    Attributes:
        plan: the study, expanded.
        images: how many images of each dataset were read now; 0 where nothing is new.
        facts: a line each on the pixels of the classes in a pool or val.
    """

    plan: Plan
    images: Mapping[str, int]
    facts: tuple[str, ...]


def check(study: Study, *, trust_config: bool = False, progress: Progress = None) -> Checked:
    """Read every image and mask, and try every model and method once; writes caches alone.

    Returns:
        What was found.

    Raises:
        InputError: everything that is wrong.
    """
    from alspec.run.preflight.data import check_data
    from alspec.run.preflight.models import check_models
    from alspec.run.preflight.precision import note_on_precision

    observer = observer_of(progress)
    expanded = _plan_to_run(study, WORK_DIR, trust_config=trust_config)
    if slow := note_on_precision(study.training):
        observer.note(slow)
    with locate_errors(study):
        check_models(expanded.steps.values(), note=observer.note, built_in=True)
        found: list[str] = []
        images = check_data(expanded.study.datasets, observer.reading, note=found.append)
    return Checked(expanded, images, tuple(found))


def run(
    study: Study,
    *,
    devices: str | None = None,
    work_dir: str | Path = WORK_DIR,
    progress: Progress = None,
    executor: ExecutorFactory | None = None,
    loader_workers: int = 0,
    trust_config: bool = False,
    wait: bool = True,
    idle_seconds: float = math.inf,
    revise: bool = False,
    only: Sequence[str] = (),
    until: Sequence[str] = (),
    track: Sequence[str] = (),
) -> StudyResults:
    """Run what of a study is not done yet, and publish its tables, figures and report.

    Args:
        study: as `load` gives it.
        devices: as `--devices`: `cpu`, `cpu:4`, `cuda:0,1`; every GPU that is there if None.
        work_dir: where the study's folder and the store are.
        progress: hears what happens.
        executor: makes the executor of the steps; local worker processes if None.
        loader_workers: processes that prepare a training's batches; no result depends on it.
        trust_config: training may run the study's own MMSegmentation config, which is code.
        wait: for steps that other runs have the leases of, when nothing else is left.
        idle_seconds: how long to wait for them at a time, before the run ends.
        revise: continue a study that another file's spec was run with.
        only: names of steps to run (words, a pattern, a key), whose inputs are done.
        until: names of steps to run with all that they are made from.
        track: experiment trackers that hear of results: tensorboard, mlflow, wandb, ….

    Returns:
        What was executed and what failed, and the tables of all that is finished.

    Raises:
        InputError: the spec, the data, the models or the disk do not allow the study.
        StoreError: the store is corrupt again and again, or cannot be written.
    """
    from alspec.report.publish import publish_what_changed
    from alspec.report.study_results import StudyResults
    from alspec.report.tracking import tracking
    from alspec.run.events import EventLog
    from alspec.run.preflight.spec import require_own_folder
    from alspec.run.repair import run_to_publication
    from alspec.run.wanted import wanted_steps
    from alspec.store.links import refuse_links
    from alspec.store.permissions import check_owners

    slots = parse_devices(devices)
    expanded = _plan_to_run(study, work_dir, trust_config=trust_config)
    folder = StudyFolder(Path(work_dir), expanded.study.study)
    log = EventLog(folder, observer_of(progress))
    refuse_links(folder.store.root, folder.root)
    require_own_folder(expanded.study, folder, revise=revise)
    for warning in check_owners(folder.store.root, folder.root):
        log.note(warning)
    among = wanted_steps(expanded, folder.store, only, until)
    patience = idle_seconds if wait else 0.0
    steps = _StepRunner(
        study, expanded, folder, slots, log, executor, loader_workers, patience, among
    )
    with tracking(folder, track, log.note), writable(folder):
        summary, written = run_to_publication(
            expanded,
            folder.store,
            steps.run,
            lambda: publish_what_changed(expanded, folder),
            log.note,
            among,
        )
    return StudyResults(folder, expanded, written, summary)


@dataclass(frozen=True)
class _StepRunner:
    """Checks what steps need, then has an executor do them."""

    study: Study
    plan: Plan
    folder: StudyFolder
    slots: Sequence[str]
    log: EventLog
    executor: ExecutorFactory | None
    loader_workers: int
    patience: float
    among: Collection[StepKey] | None

    def run(self, todo: Mapping[StepKey, Step]) -> RunSummary:
        """Run some steps; models, disk and data are checked before the first."""
        from alspec.results.leaks import write_leaks
        from alspec.run.executors.base import Workplace
        from alspec.run.executors.local import LocalExecutor
        from alspec.run.loop import run as run_steps
        from alspec.run.preflight.spec import record_spec
        from alspec.run.timing import costs_of, save_throughput
        from alspec.system.atomic import write_text

        self._check_disk_and_models(todo)
        store, device = self.folder.store, self.slots[0]
        place = Workplace(
            store.root.absolute(), self.slots[: len(todo)], self.folder.logs, self.loader_workers
        )
        executor = (self.executor or LocalExecutor)(place)
        try:
            with locate_errors(self.study), _made(self.folder):
                executor.warm_up()
                leaks = self._check_data(todo)
            if todo:
                write_leaks(self.folder, leaks)
            record_spec(self.plan.study, self.folder)
            write_text(self.folder.spec, dump_study(self.plan.study))
            costs = costs_of(self.plan, store, todo, device) if todo else {}
            self.log.steps_begin({key: costs[key] for key in todo}, waits=self.patience > 0)
            try:
                return run_steps(
                    self.plan, store, executor, self.log, patience=self.patience, among=self.among
                )
            finally:
                self.log.steps_end()
        finally:
            executor.close()
            save_throughput(self.plan, store, todo, device)

    def _check_disk_and_models(self, todo: Mapping[StepKey, Step]) -> None:
        from alspec.run.preflight.disk import disk_space_for, require_disk_space
        from alspec.run.preflight.models import check_models
        from alspec.run.preflight.precision import note_on_precision

        if not todo:
            return
        on_processor = any(slot.startswith("cpu") for slot in self.slots)
        if slow := note_on_precision(self.plan.study.training, processor=on_processor):
            self.log.note(slow)
        workers = min(len(self.slots), len(todo))
        space = disk_space_for(self.plan, todo, self.folder.store, workers)
        if warning := require_disk_space(space):
            self.log.note(warning)
        with locate_errors(self.study):
            check_models(todo.values(), self.folder.store, note=self.log.note)

    def _check_data(self, todo: Collection[StepKey]) -> dict[str, SplitLeak]:
        """Read the files where steps will; what of each val its pool has too."""
        from alspec.results.leaks import SplitLeak
        from alspec.run.preflight.data import check_data, record_contents

        leaks: dict[str, SplitLeak] = {}
        if todo:
            check_data(
                self.plan.study.datasets,
                self.log.reading,
                self.folder.store,
                self.log.note,
                lambda name, found: leaks.update({name: SplitLeak.of(found)}),
            )
        record_contents(self.plan, self.folder.store)
        return leaks


def results(folder: str | Path, overrides: Sequence[str] = ()) -> StudyResults:
    """What of a study is finished, read from its folder; writes nothing.

    Args:
        folder: `work_dirs/<study>`.
        overrides: as in `load`.

    Raises:
        SpecError: it is not a study's folder.
    """
    from alspec.report.study_results import StudyResults

    found = study_folder(Path(folder))
    expanded = plan(load_study(found.spec, overrides), work_dir=found.work_dir)
    return StudyResults(found, expanded, found.report)


def publish(
    study: Study | str | Path, *, work_dir: str | Path = WORK_DIR, overrides: Sequence[str] = ()
) -> StudyResults:
    """Write tables, figures and report of what is finished, whether or not the study is.

    Args:
        study: as `load` gives it, or a study's folder.
        work_dir: where the study's folder is; not for a folder.
        overrides: as in `load`, for a folder's spec.
    """
    from alspec.report.publish import publish as write
    from alspec.report.study_results import StudyResults
    from alspec.store.links import refuse_links

    if isinstance(study, Study):
        folder = StudyFolder(Path(work_dir), study.study)
    else:
        folder = study_folder(Path(study))
        study = load_study(folder.spec, overrides)
    expanded = plan(study, work_dir=folder.work_dir)
    refuse_links(folder.store.root, folder.root)
    with writable(folder):
        return StudyResults(folder, expanded, write(expanded, folder))


def study_folder(root: Path) -> StudyFolder:
    """A study's folder by its path. Raises SpecError where there is no spec.yaml."""
    folder = StudyFolder(root.absolute().parent, root.resolve().name)
    if not folder.spec.is_file():
        raise SpecError.at(root, "is not a study's folder: it has no spec.yaml")
    return folder


def _plan_to_run(study: Study, work_dir: str | Path, *, trust_config: bool) -> Plan:
    """The plan of a study whose config is trusted. Raises InputError as `plan`, or if it is not."""
    expanded = plan(study, trust_config=trust_config, work_dir=work_dir)
    with locate_errors(study):
        require_trust(expanded.study, trusted=trust_config)
    return expanded


@contextmanager
def _made(folder: StudyFolder) -> Iterator[None]:
    """A study's folder for workers to log in; for bad data what is empty in it is removed again."""
    folder.root.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except InputError:
        if not folder.spec.exists():  # no run of this study got further
            folder.remove_empty()
        raise
