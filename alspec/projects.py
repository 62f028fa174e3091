"""What people do with a labelling project: plan, select, ingest, run, predict, report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from alspec.datasets.base import Split
from alspec.datasets.kinds.partly_labelled import PartlyLabelled
from alspec.errors import InputError, Problem
from alspec.labelling import masks, selection
from alspec.labelling.advice import choose_method, guide_answer
from alspec.labelling.delivery.base import MaskValues
from alspec.labelling.hand_over import Tool
from alspec.labelling.hand_over import hand_over as hand_over_batch
from alspec.labelling.ingestion import ingest as take
from alspec.labelling.next_batch import labelled_after_next, plan_next, pool_facts
from alspec.labelling.outcomes import CheckedProject, Ingestion, ProjectResults, Selection
from alspec.labelling.running import check_files, opened, read_files, services_of
from alspec.labelling.state import State, read_state
from alspec.labelling.summary import summarise
from alspec.labelling.taking import Options
from alspec.labelling.trainings import plan_training, run_training
from alspec.plan.dag import Plan
from alspec.recommend.advise import Answer, Known
from alspec.report.project import write_report
from alspec.run.devices import parse_devices
from alspec.run.executors.base import ExecutorFactory
from alspec.run.observer import Progress, observer_of
from alspec.run.options import RunOptions
from alspec.spec.load import load_project
from alspec.spec.project import Project
from alspec.store.project_folder import ProjectFolder
from alspec.store.study_folder import WORK_DIR


def project_folder(project: Project, work_dir: str | Path) -> ProjectFolder:
    """Where a project's batches, models and report are."""
    return ProjectFolder(Path(work_dir), project.project)


def check(project: Project, *, progress: Progress = None) -> CheckedProject:
    """Read every image, and every mask that is there; writes nothing.

    Raises:
        InputError: everything that is wrong with them.
    """
    with opened(project) as project:
        dataset = PartlyLabelled(project.dataset)
        read_files(dataset, observer_of(progress))
        return CheckedProject(len(dataset.frames(Split.POOL)), len(dataset.labelled()))


def plan(project: Project, *, trust_config: bool = False, work_dir: str | Path = WORK_DIR) -> Plan:
    """What the next `select` will do with what is labelled now: train, measure, choose.

    Nothing is read but names and SHA-256s. Where the pool's redundancy is not measured yet, the
    method is the guide's for a redundant one; with nothing labelled, the plan is to measure it.

    Raises:
        InputError: the files do not allow it.
    """
    with opened(project) as project:
        folder = project_folder(project, work_dir)
        return plan_next(project, folder, trust_config=trust_config)


def select(
    project: Project,
    images: int | None = None,
    *,
    method: str | None = None,
    to: Tool = "folder",
    anyway: bool = False,
    devices: str | None = None,
    work_dir: str | Path = WORK_DIR,
    progress: Progress = None,
    executor: ExecutorFactory | None = None,
    trust_config: bool = False,
) -> Selection:
    """The open batch or a new one, and its hand-over for an annotation tool.

    Args:
        project: as `load` gives it.
        images: of the batch; the project's number if None.
        method: that chooses, by name; the project's if None.
        to: folder, cvat or labelstudio.
        anyway: make a batch although one waits for labels.
        devices: as `--devices`.
        work_dir: where the project's folder and the store are.
        progress: hears what happens.
        executor: makes the executor of the steps; local worker processes if None.
        trust_config: training may run the project's own MMSegmentation config, which is code.

    Raises:
        InputError: the files do not allow it, or nothing is left to ask for.
        StepFailed: a step failed; finished steps stay in the store.
    """
    wanted = selection.Wanted(images, method, anyway, trust_config)
    folder, observer = project_folder(project, work_dir), observer_of(progress)
    slots = parse_devices(devices or project.execution.slots)
    with opened(project) as project:
        services = services_of(
            project, folder, slots, observer, executor=executor, trusted=trust_config
        )
        check_files(project, folder, observer)
        found = selection.select(project, folder, wanted, services)
        home = hand_over_batch(project, folder, found.state, found.batch, to, services)
    write_report(project, folder)
    return Selection(found.batch, found.new, home, found.state)


def ingest(
    project: Project,
    *paths: str | Path,
    accept_unchanged: bool = False,
    hours: float | None = None,
    annotator: str | None = None,
    mask_values: MaskValues = "any",
    work_dir: str | Path = WORK_DIR,
    progress: Progress = None,
) -> Ingestion:
    """Take masks back from an annotation tool; the same files a second time change nothing.

    Args:
        project: as `load` gives it.
        paths: exports, one after another: zips, folders, XML or JSON.
        accept_unchanged: masks that are the proposal, pixel for pixel, count.
        hours: of work on each delivery; the batches in it share them by images taken.
        annotator: whose annotations count: a name, or `latest`.
        mask_values: what a folder of masks holds: `ids` or `colours` of classes.csv, `own` as in
            the project's masks, or `any`: whichever fits; where two would, and differ, they are
            refused.
        work_dir: where the project's folder is.
        progress: hears what happens.

    Raises:
        InputError: one cannot be read at all; those before it are taken.
    """
    options = Options(accept_unchanged, hours, annotator, mask_values)
    folder, observer = project_folder(project, work_dir), observer_of(progress)
    with opened(project) as project:
        services = services_of(project, folder, ["cpu"], observer)
        taken = [take(project, folder, Path(path), options, services) for path in paths]
    write_report(project, folder)
    return Ingestion(taken, read_state(project, folder))


def predict(
    project: Project,
    output: str | Path,
    *,
    images: str | Path | None = None,
    confidence: bool = False,
    devices: str | None = None,
    work_dir: str | Path = WORK_DIR,
    progress: Progress = None,
) -> masks.Predicted:
    """Write a mask for every image of the project, or of a folder, with the best model so far.

    Args:
        project: as `load` gives it.
        output: the folder for the masks.
        images: a folder of images; the project's own if None.
        confidence: also write how sure the model is of each pixel, 0 to 255.
        devices: as `--devices`.
        work_dir: where the project's folder and the store are.
        progress: hears what happens.

    Raises:
        InputError: there is no model, or no image.
        StepFailed: a process ended early; what was written is whole.
    """
    folder, observer = project_folder(project, work_dir), observer_of(progress)
    slots = parse_devices(devices or project.execution.slots)
    source = Path(images) if images is not None else None
    with opened(project) as project:
        services = services_of(project, folder, slots, observer)
        return masks.predict(
            project, folder, Path(output), services, images=source, confidence=confidence
        )


def run(
    project: Project,
    options: RunOptions,
    *,
    work_dir: str | Path = WORK_DIR,
    progress: Progress = None,
) -> ProjectResults:
    """Train on what is labelled now, measure it, write the report; choose nothing.

    Raises:
        InputError: nothing is labelled yet (with the code of waiting for labels if a batch is
            open), the files do not allow it, or an option is one of studies alone.
        StepFailed: a step failed; finished steps stay in the store.
    """
    _refuse_options_of_studies(project, options)
    folder, observer = project_folder(project, work_dir), observer_of(progress)
    slots, trusted = (
        parse_devices(options.devices or project.execution.slots),
        options.trust_config,
    )
    with opened(project) as project:
        services = services_of(
            project, folder, slots, observer, executor=options.make_executor, trusted=trusted
        )
        check_files(project, folder, observer)
        state = read_state(project, folder)
        if not state.train_ids:
            raise InputError([_nothing_to_train_on(project, state)])
        facts = pool_facts(project, folder, services)
        labelled = labelled_after_next(project, state)
        choice = choose_method(project, None, facts, labelled)
        planned = plan_training(project, folder, state, choice, trust_config=trusted)
        run_training(folder, planned, choice, services)
    return publish(project, work_dir=work_dir)


def _nothing_to_train_on(project: Project, state: State) -> Problem:
    what = "has no labelled image to train on"
    if state.open_batch is None:
        return Problem(project.project, f"{what}. `alspec select` makes a batch to label")
    number, images = state.open_batch.number, len(state.waiting(state.open_batch))
    what += f": {images} images of batch {number} wait for their labels; `alspec ingest` takes them"
    return Problem(project.project, what, waits_for_labels=True)


def _refuse_options_of_studies(project: Project, options: RunOptions) -> None:
    if options.beyond_projects:
        what = "is a labelling project: `run` takes no argument after `trust_config` for it"
        raise InputError.at(project.project, what)
    executor = project.execution.executor if options.executor is None else options.executor
    if isinstance(executor, str) and executor != "local":
        what = "is a labelling project, which trains a model at a time, on this machine"
        raise InputError.at(project.project, f"{what}: --executor local, not {executor}")


def status(project: Project, *, work_dir: str | Path = WORK_DIR) -> ProjectResults:
    """What the project's files say; nothing is trained or written."""
    folder = project_folder(project, work_dir)
    with opened(project) as project:
        return ProjectResults(folder, summarise(project, folder))


def results(folder: str | Path, overrides: Sequence[str] = ()) -> ProjectResults:
    """The same of a project's folder, `work_dirs/<project>`.

    Raises:
        SpecError: it is not a project's folder.
    """
    root = Path(folder).absolute()
    return status(load_project(root / "spec.yaml", overrides), work_dir=root.parent)


def publish(project: Project, *, work_dir: str | Path = WORK_DIR) -> ProjectResults:
    """Write the report of what is finished."""
    folder = project_folder(project, work_dir)
    with opened(project) as project:
        write_report(project, folder)
        return ProjectResults(folder, summarise(project, folder))


def recommend(
    project: Project,
    known: Known,
    *,
    work_dir: str | Path = WORK_DIR,
    progress: Progress = None,
) -> Answer:
    """What the guide advises for the next batch; measures the images where that is new.

    Args:
        project: as `load` gives it.
        known: comes before what is measured and before the project's `ssl`.
        work_dir: where the project's folder and the store are.
        progress: hears of images read.

    Raises:
        InputError: the files do not allow it, or all images were rejected.
    """
    folder, observer = project_folder(project, work_dir), observer_of(progress)
    with opened(project) as project:
        services = services_of(project, folder, parse_devices("cpu"), observer)
        check_files(project, folder, observer)
        state = read_state(project, folder)
        labelled = labelled_after_next(project, state)
        if not labelled:
            what = f"all its images were rejected. Add images to {state.dataset.spec.images}"
            raise InputError.at(project.project, what)
        facts = pool_facts(project, folder, services)
        choice = choose_method(project, None, facts, labelled)
        chosen = f"{choice.method.label}{' with SSL' if choice.ssl else ''}"
        if not state.train_ids:
            chosen = f"{project.first}, without a model"
        return guide_answer(project, facts, labelled, known, chosen)
