"""What people do with a study: plan, check, run, read its results, publish it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from alspec.errors import InputError, SpecError
from alspec.plan.config_file import require_trust
from alspec.plan.content_revisions import ContentRevisions
from alspec.plan.dag import Plan
from alspec.plan.expand import expand
from alspec.run.devices import parse_devices
from alspec.run.observer import Progress, observer_of
from alspec.spec.execution import Execution
from alspec.spec.load import load_study, locate_errors
from alspec.spec.model import Study
from alspec.store.study_folder import WORK_DIR, StudyFolder, writable

if TYPE_CHECKING:
    from alspec.report.study_results import StudyResults
    from alspec.run.executors.base import ExecutorFactory


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
    executor: ExecutorFactory | str | None = None,
    jobs: int | None = None,
    loader_workers: int = 0,
    trust_config: bool = False,
    wait: bool = True,
    idle_seconds: float | None = None,
    revise: bool = False,
    only: Sequence[str] = (),
    until: Sequence[str] = (),
    track: Sequence[str] = (),
    full_paths: bool = False,
) -> StudyResults:
    """Run what of a study is not done yet, and publish its tables, figures and report.

    The arguments are those of `api.run`.

    Returns:
        What was executed and what failed, and the tables of all that is finished.

    Raises:
        InputError: the spec, the data, the models or the disk do not allow the study.
        StoreError: the store is corrupt again and again, or cannot be written.
    """
    from alspec.report.publish import publish_what_changed
    from alspec.report.study_results import StudyResults
    from alspec.report.tracking import tracking
    from alspec.run.cluster_steps import ClusterSteps, require_trust_in_jobs
    from alspec.run.events import EventLog
    from alspec.run.preflight.spec import require_own_folder
    from alspec.run.repair import run_to_publication
    from alspec.run.study_steps import LocalSteps, Prepared
    from alspec.run.wanted import wanted_steps
    from alspec.store.links import refuse_links
    from alspec.store.permissions import check_owners

    named = executor if isinstance(executor, str) or executor is None else "local"
    asked = _execution(study, named, devices, jobs, idle_seconds)
    here = asked.executor == "local"
    slots = parse_devices(asked.devices, here=here) * (1 if here else asked.jobs or 1)
    require_trust_in_jobs(study, asked, trusted=trust_config)
    expanded = _plan_to_run(study, work_dir, trust_config=trust_config)
    folder = StudyFolder(Path(work_dir), expanded.study.study)
    log = EventLog(folder, observer_of(progress))
    refuse_links(folder.store.root, folder.root)
    require_own_folder(expanded.study, folder, revise=revise)
    for warning in check_owners(folder.store.root, folder.root):
        log.note(warning)
    among = wanted_steps(expanded, folder.store, only, until)
    prepared = Prepared(study, expanded, folder, slots, log, full_paths)
    steps: LocalSteps | ClusterSteps
    if asked.executor == "local":
        make = None if isinstance(executor, str) else executor
        patience = (math.inf if idle_seconds is None else idle_seconds) if wait else 0.0
        steps = LocalSteps(prepared, make, loader_workers, patience, among)
    else:
        options = _pilot_options(
            loader_workers, only, until, trust_config=trust_config, full_paths=full_paths
        )
        steps = ClusterSteps(prepared, asked, options, wait=wait)
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


def _execution(
    study: Study,
    executor: str | None,
    devices: str | None,
    jobs: int | None,
    idle_seconds: float | None,
) -> Execution:
    """Where a study is to run: the spec's block, and what the caller says instead of it.

    Raises:
        InputError: no such executor, or no such number of jobs.
    """
    said: dict[str, object] = {"executor": executor, "devices": devices, "jobs": jobs}
    said["idle"] = None if idle_seconds is None else f"{idle_seconds:g}s"
    given = {name: value for name, value in said.items() if value is not None}
    if devices is not None:
        parse_devices(devices, here=False)
    try:
        return Execution.model_validate({**study.execution.model_dump(), **given})
    except ValidationError as err:
        first = err.errors(include_url=False)[0]
        name = str(first["loc"][-1])
        raise InputError.at(f"--{name}", f"`{given.get(name)}`: {first['msg']}") from err


def _pilot_options(
    loader_workers: int,
    only: Sequence[str],
    until: Sequence[str],
    *,
    trust_config: bool,
    full_paths: bool,
) -> list[str]:
    """What of a run's options its pilots are given."""
    options = ["--trust-config"] if trust_config else []
    options += ["--full-paths"] if full_paths else []
    options += ["--loader-workers", str(loader_workers)] if loader_workers else []
    options += [word for step in only for word in ("--only", step)]
    return options + [word for step in until for word in ("--until", step)]


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
