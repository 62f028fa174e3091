"""What people do with a study: plan, check, run, read its results, publish it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from alspec.errors import DataError, SpecError
from alspec.plan.config_file import require_trust
from alspec.plan.content_revisions import ContentRevisions
from alspec.plan.dag import Plan
from alspec.plan.expand import expand
from alspec.run.devices import parse_devices, require_room
from alspec.run.observer import Progress, observer_of
from alspec.run.options import RunOptions
from alspec.spec.load import load_study, locate_errors
from alspec.spec.model import Study
from alspec.store.study_folder import WORK_DIR, StudyFolder, writable

if TYPE_CHECKING:
    from alspec.report.study_results import StudyResults


def plan(study: Study, *, trust_config: bool = False, work_dir: str | Path = WORK_DIR) -> Plan:
    """Everything a study will do; lists files, reads no pixel, writes nothing.

    Args:
        study: as `load` gives it.
        trust_config: training may run the study's own MMSegmentation config, which is code.
        work_dir: whose store knows what the files contained when it first saw them.

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
    from alspec.run.preflight.models import ModelTrials
    from alspec.run.preflight.precision import note_on_precision

    observer = observer_of(progress)
    expanded = _plan_to_run(study, WORK_DIR, trust_config=trust_config)
    if slow := note_on_precision(study.training):
        observer.note(slow)
    found: list[str] = []
    models = ModelTrials(expanded.steps.values(), note=observer.note, built_in=True)

    def reading(dataset: str, images: int) -> None:
        if models.are_over:  # what is found of them comes first, and ends the reading
            models.end()
            observer.reading(dataset, images)

    with locate_errors(study), models:
        try:
            images = check_data(expanded.study.datasets, reading, note=found.append)
        except DataError:
            models.end()
            raise
        models.end()
    return Checked(expanded, images, tuple(found))


def run(
    study: Study,
    options: RunOptions,
    *,
    work_dir: str | Path = WORK_DIR,
    progress: Progress = None,
) -> StudyResults:
    """Run what of a study is not done yet, and publish its tables, figures and report.

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
    from alspec.run.plan_steps import LocalSteps
    from alspec.run.preflight.spec import require_own_folder
    from alspec.run.repair import run_to_publication
    from alspec.run.study_steps import PreparedStudy
    from alspec.run.wanted import wanted_steps
    from alspec.store.links import refuse_links
    from alspec.store.permissions import check_owners

    asked = options.execution(study)
    here = asked.executor == "local"
    slots = parse_devices(asked.slots, here=here)
    with locate_errors(study):
        require_room(slots, study.execution.devices_a_training)
    slots *= 1 if here else asked.jobs or 1
    require_trust_in_jobs(study, asked, trusted=options.trust_config)
    expanded = _plan_to_run(study, work_dir, trust_config=options.trust_config)
    folder = StudyFolder(Path(work_dir), expanded.study.study)
    log = EventLog(folder, observer_of(progress))
    refuse_links(folder.store.root, folder.root)
    require_own_folder(expanded.study, folder, revise=options.revise)
    for warning in check_owners(folder.store.root, folder.root):
        log.note(warning)
    among = wanted_steps(expanded, folder.store, options.only, options.until)
    prepared = PreparedStudy(expanded, folder, slots, log, options, study)
    steps = LocalSteps(prepared, among) if here else ClusterSteps(prepared, asked)
    with tracking(folder, options.track, log.note), writable(folder):
        summary, written = run_to_publication(
            expanded,
            folder.store,
            steps.run,
            lambda: publish_what_changed(expanded, folder),
            log.note,
            among,
        )
    return StudyResults(folder, expanded, written, summary)


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
