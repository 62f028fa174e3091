"""What people do with a labelling project: plan, select, ingest, run, predict, report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from alspec.datasets.base import Split
from alspec.datasets.kinds.partly_labelled import PartlyLabelled
from alspec.errors import InputError
from alspec.labelling import masks, selection
from alspec.labelling.advice import choose_method, guide_answer
from alspec.labelling.hand_over import Tool
from alspec.labelling.hand_over import hand_over as hand_over_batch
from alspec.labelling.ingestion import ingest as take
from alspec.labelling.report import write_report
from alspec.labelling.running import check_files, opened, read_files, services_of
from alspec.labelling.state import State, read_state
from alspec.labelling.summary import Summary, summarise
from alspec.labelling.taking import Ingested, Options
from alspec.labelling.trainings import plan_training, run_training
from alspec.plan.dag import Plan
from alspec.recommend.advise import Answer, Known
from alspec.run.devices import parse_devices
from alspec.run.executors.base import ExecutorFactory
from alspec.run.observer import Progress, observer_of
from alspec.spec.load import load_project
from alspec.spec.project import Project
from alspec.store.project_folder import ProjectFolder
from alspec.store.study_folder import WORK_DIR

if TYPE_CHECKING:
    from pandas import DataFrame

    from alspec.labelling.batches import Batch


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
        return selection.plan_next(project, folder, trust_config=trust_config)


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
        StepFailed: a step failed; what is finished is kept.
    """
    wanted = selection.Wanted(images, method, anyway, trust_config)
    folder, observer = project_folder(project, work_dir), observer_of(progress)
    slots = parse_devices(devices)
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
    work_dir: str | Path = WORK_DIR,
    progress: Progress = None,
) -> Ingestion:
    """Take masks back from an annotation tool; the same files a second time change nothing.

    Args:
        project: as `load` gives it.
        paths: exports, one after another: zips, folders, XML or JSON.
        accept_unchanged: masks that are the proposal, pixel for pixel, count.
        hours: of work, for each delivery.
        annotator: whose annotations count: a name, or `latest`.
        work_dir: where the project's folder is.
        progress: hears what happens.

    Raises:
        InputError: one cannot be read at all; those before it are taken.
    """
    options = Options(accept_unchanged, hours, annotator)
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
    slots, source = parse_devices(devices), Path(images) if images is not None else None
    with opened(project) as project:
        services = services_of(project, folder, slots, observer)
        return masks.predict(
            project, folder, Path(output), services, images=source, confidence=confidence
        )


def run(
    project: Project,
    *,
    devices: str | None = None,
    work_dir: str | Path = WORK_DIR,
    progress: Progress = None,
    executor: ExecutorFactory | None = None,
    trust_config: bool = False,
) -> ProjectResults:
    """Train on what is labelled now, measure it, write the report; choose nothing.

    Raises:
        InputError: nothing is labelled yet, or the files do not allow it.
        StepFailed: a step failed; what is finished is kept.
    """
    folder, observer = project_folder(project, work_dir), observer_of(progress)
    slots = parse_devices(devices)
    with opened(project) as project:
        services = services_of(
            project, folder, slots, observer, executor=executor, trusted=trust_config
        )
        check_files(project, folder, observer)
        state = read_state(project, folder)
        if not state.train_ids:
            what = "has no labelled image to train on. `alspec select` makes a first batch"
            raise InputError.at(project.project, what)
        facts = selection.pool_facts(project, folder, services)
        labelled = selection.labelled_after_next(project, state)
        choice = choose_method(project, None, facts, labelled)
        planned = plan_training(project, folder, state, choice, trust_config=trust_config)
        run_training(folder, planned, choice, services)
    return publish(project, work_dir=work_dir)


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
        InputError: the files do not allow it.
    """
    folder, observer = project_folder(project, work_dir), observer_of(progress)
    with opened(project) as project:
        services = services_of(project, folder, parse_devices("cpu"), observer)
        check_files(project, folder, observer)
        state = read_state(project, folder)
        facts = selection.pool_facts(project, folder, services)
        labelled = selection.labelled_after_next(project, state)
        choice = choose_method(project, None, facts, labelled)
        chosen = f"{choice.method.label}{' with SSL' if choice.ssl else ''}"
        if not state.train_ids:
            chosen = f"{project.first}, without a model"
        return guide_answer(project, facts, labelled, known, chosen)
