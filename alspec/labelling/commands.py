"""What people do with a project: select, ingest, predict, train, report; one function each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from alspec.datasets.base import Split
from alspec.datasets.kinds.partly_labelled import PartlyLabelled
from alspec.errors import InputError
from alspec.labelling import masks, selection
from alspec.labelling.advice import Choice, choose_method
from alspec.labelling.hand_over import Tool, hand_over
from alspec.labelling.ingestion import ingest as take
from alspec.labelling.report import write_report
from alspec.labelling.running import check_files, opened, read_files, services_of
from alspec.labelling.state import State, read_state
from alspec.labelling.summary import Summary, summarise
from alspec.labelling.taking import Ingested, Options
from alspec.labelling.trainings import train_and_measure
from alspec.run.devices import parse_devices
from alspec.run.executors.base import ExecutorFactory
from alspec.run.observer import Observer, Silence
from alspec.spec.project import Project
from alspec.store.project_folder import ProjectFolder


@dataclass(frozen=True)
class Place:
    """Where and on what a project's commands work.

    Attributes:
        work_dir: the work directory.
        devices: as `--devices`.
        observer: hears what happens.
        executor: makes the executor of steps; local worker processes if None.
        trust_config: training may run the project's own MMSegmentation config, which is code.
    """

    work_dir: Path = Path("work_dirs")
    devices: str | None = None
    observer: Observer = field(default_factory=Silence)
    executor: ExecutorFactory | None = None
    trust_config: bool = False

    def folder(self, project: Project) -> ProjectFolder:
        """The project's folder."""
        return ProjectFolder(self.work_dir, project.project)


@dataclass(frozen=True)
class Selection:
    """A batch and where it lies for people.

    Attributes:
        found: the batch and whether it is new.
        hand_over: the folder for the tool.
    """

    found: selection.Selected
    hand_over: Path

    @property
    def state(self) -> State:
        """With the batch."""
        return self.found.state


def check(project: Project, observer: Observer) -> dict[str, int]:
    """Read every image, and every mask that is there; how many images and masks.

    Raises:
        InputError: everything that is wrong with them.
    """
    with opened(project) as project:
        dataset = PartlyLabelled(project.dataset)
        read_files(dataset, observer)
        return {"images": len(dataset.frames(Split.POOL)), "masks": len(dataset.labelled())}


def select(
    project: Project, wanted: selection.Wanted, tool: Tool = "folder", place: Place | None = None
) -> Selection:
    """The open batch or a new one, and its hand-over for a tool.

    Raises:
        InputError: the files do not allow it.
        StepFailed: a step failed; what is finished is kept.
    """
    place = place or Place()
    folder = place.folder(project)
    slots = parse_devices(place.devices)
    with opened(project) as project:
        services = services_of(
            project,
            folder,
            slots,
            place.observer,
            executor=place.executor,
            trusted=place.trust_config,
        )
        check_files(project, folder, place.observer)
        found = selection.select(project, folder, wanted, services)
        home = hand_over(project, folder, found.state, found.batch, tool, services)
    write_report(project, folder)
    return Selection(found, home)


def ingest(
    project: Project, paths: Sequence[Path], options: Options, place: Place | None = None
) -> tuple[list[Ingested], State]:
    """Take deliveries, one after another; what came of each, and the state then.

    Raises:
        InputError: one cannot be read at all; those before it are taken.
    """
    place = place or Place()
    folder = place.folder(project)
    with opened(project) as project:
        services = services_of(project, folder, ["cpu"], place.observer)
        taken = [take(project, folder, path, options, services) for path in paths]
    write_report(project, folder)
    return taken, read_state(project, folder)


def predict(
    project: Project,
    output: Path,
    place: Place | None = None,
    *,
    images: Path | None = None,
    confidence: bool = False,
) -> masks.Predicted:
    """Masks for every image of the project, or of a folder, with the best model so far.

    Raises:
        InputError: there is no model, or no image.
        StepFailed: a process ended early; what was written is whole.
    """
    place = place or Place()
    folder = place.folder(project)
    with opened(project) as project:
        services = services_of(project, folder, parse_devices(place.devices), place.observer)
        return masks.predict(
            project, folder, output, services, images=images, confidence=confidence
        )


def run(project: Project, place: Place | None = None) -> Summary:
    """Train on what is labelled now and measure it; choose nothing.

    Raises:
        InputError: nothing is labelled yet.
        StepFailed: a step failed; what is finished is kept.
    """
    place = place or Place()
    folder = place.folder(project)
    with opened(project) as project:
        services = services_of(
            project,
            folder,
            parse_devices(place.devices),
            place.observer,
            executor=place.executor,
            trusted=place.trust_config,
        )
        check_files(project, folder, place.observer)
        state = read_state(project, folder)
        if not state.train_ids:
            what = "has no labelled image to train on. `alspec select` makes a first batch"
            raise InputError.at(project.project, what)
        facts = selection.pool_facts(project, folder, services)
        choice = choose_method(project, None, facts, _spent(project, state))
        train_and_measure(project, folder, state, choice, services, trust_config=place.trust_config)
    write_report(project, folder)
    return summarise(project, folder)


def recommend(project: Project, place: Place | None = None) -> Choice:
    """What the guide advises for the next batch; measures the images where that is new."""
    place = place or Place()
    folder = place.folder(project)
    with opened(project) as project:
        services = services_of(project, folder, parse_devices(place.devices), place.observer)
        check_files(project, folder, place.observer)
        state = read_state(project, folder)
        facts = selection.pool_facts(project, folder, services)
        return choose_method(project, None, facts, _spent(project, state))


def _spent(project: Project, state: State) -> int:
    """Images that are labelled after the next batch, as `select` counts them."""
    return len(state.labelled) + min(project.batch, len(state.candidates))


def status(project: Project, place: Place | None = None) -> Summary:
    """What the project's files say; nothing is trained or written."""
    place = place or Place()
    with opened(project) as project:
        return summarise(project, place.folder(project))


def report(project: Project, place: Place | None = None) -> Path:
    """Write the report of what is finished; its path."""
    place = place or Place()
    with opened(project) as project:
        return write_report(project, place.folder(project))
