"""Chooses the next batch: trains on what is labelled, or covers the images without a model."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from alspec.datasets.base import ImageId
from alspec.errors import InputError
from alspec.labelling.advice import Choice, choose_method
from alspec.labelling.batches import Asked, Batch, Role, write_batch
from alspec.labelling.export.image import flat_name
from alspec.labelling.first import WHY, choose_without_model
from alspec.labelling.next_batch import check_size, draw_check, plan_batch, pool_facts, rng_of
from alspec.labelling.services import Services
from alspec.labelling.state import State, read_state
from alspec.labelling.trainings import run_training
from alspec.plan.kinds.acquire import SCORES, SELECTED
from alspec.plan.project import ProjectPlan
from alspec.spec.project import Project
from alspec.store.project_folder import ProjectFolder

CHECKED = "check: sampled uniformly, never trained on"


@dataclass(frozen=True)
class Wanted:
    """What is asked of `select`.

    Attributes:
        images: of the batch; the project's number if None.
        method: by name; the project's if None.
        anyway: make a batch although one is open.
        trust_config: training may run the project's own MMSegmentation config.
    """

    images: int | None = None
    method: str | None = None
    anyway: bool = False
    trust_config: bool = False


@dataclass(frozen=True)
class Selected:
    """What `select` found or made.

    Attributes:
        batch: the open one.
        state: with it.
        new: whether it was made now.
    """

    batch: Batch
    state: State
    new: bool


def select(project: Project, folder: ProjectFolder, wanted: Wanted, services: Services) -> Selected:
    """The open batch, or a new one.

    Everything follows from the files and the seed, so whatever kills it, the same call makes the
    same batch.

    Args:
        project: the spec.
        folder: the project's.
        wanted: how many, and how.
        services: runs steps and listens.

    Raises:
        InputError: nothing is left to ask for, or the files do not allow it.
        StepFailed: a step failed.
    """
    state = read_state(project, folder)
    if state.open_batch is not None and not wanted.anyway:
        return Selected(state.open_batch, state, new=False)
    candidates = state.candidates
    if not candidates:
        counts = ", ".join(f"{count} {name}" for name, count in state.counts().items())
        what = f"no image is left to ask for: {counts}. Add images to {state.dataset.spec.images}"
        raise InputError.at(project.project, what)
    number = state.next_number
    n = min(wanted.images or project.batch, len(candidates))
    check = draw_check(project, state, number, check_size(project, n))
    rows, about = _chosen(project, folder, state, number, n, check, wanted, services)
    new = True
    try:
        write_batch(folder, number, rows, about)
    except FileExistsError:  # another process chose at the same time, from the same files
        new = False
    state = read_state(project, folder)
    batch = next(batch for batch in state.batches if batch.number == number)
    return Selected(batch, state, new)


@dataclass(frozen=True)
class _Picks:
    """Images to train on, best first, and how they came about.

    Attributes:
        images: their ids.
        why: the same for all.
        scores: of those that have one.
        about: for `batch.json`.
    """

    images: Sequence[ImageId]
    why: str
    scores: Mapping[ImageId, str]
    about: Mapping[str, object]


def _chosen(
    project: Project,
    folder: ProjectFolder,
    state: State,
    number: int,
    n: int,
    check: Sequence[ImageId],
    wanted: Wanted,
    services: Services,
) -> tuple[list[Asked], dict[str, object]]:
    """The rows of a new batch and what its `batch.json` says."""
    choose = _with_model if state.train_ids else _without_model
    picks = choose(project, folder, state, number, n, check, wanted, services)
    about = {
        "seed": project.seed,
        "pool": hashlib.sha256("\n".join(f.id for f in state.frames).encode()).hexdigest(),
        "pool_images": len(state.frames),
        "labelled_images": len(state.labelled),
        "images": n,
        "check_images": len(check),
        **picks.about,
    }
    train = [(image, picks.why, picks.scores.get(image, ""), Role.TRAIN) for image in picks.images]
    measured = [(image, CHECKED, "", Role.CHECK) for image in check]
    ordered = interleaved(train, measured)
    return [
        Asked(rank, image, flat_name(number, rank, image), reason, score, role)
        for rank, (image, reason, score, role) in enumerate(ordered, start=1)
    ], about


def _with_model(
    project: Project,
    folder: ProjectFolder,
    state: State,
    _number: int,
    n: int,
    check: Sequence[ImageId],
    wanted: Wanted,
    services: Services,
) -> _Picks:
    """Train on what is labelled, measure, and choose by the method of the guide or the user."""
    facts = pool_facts(project, folder, services)
    choice = choose_method(project, wanted.method, facts, len(state.labelled) + n)
    planned = plan_batch(project, folder, state, choice, n, check, trust_config=wanted.trust_config)
    run_training(folder, planned, choice, services)
    images, why, scores = _picks(folder, planned, choice, n - len(check))
    about = {**choice.to_json(), "train": planned.train, "acquire": planned.acquire}
    return _Picks(images, why, scores, about)


def _without_model(
    project: Project,
    folder: ProjectFolder,
    state: State,
    number: int,
    n: int,
    check: Sequence[ImageId],
    _wanted: Wanted,
    services: Services,
) -> _Picks:
    """Choose as the project's `first` says: nothing is labelled yet."""
    checked = set(check)
    images = choose_without_model(
        project,
        folder,
        state,
        [frame for frame in state.candidates if frame.id not in checked],
        n - len(check),
        rng_of(project, number, "first"),
        lambda done, total: services.progress("reading images", done, total),
    )
    why = WHY[project.first]
    about: dict[str, object] = {
        "method": project.first,
        "params": {},
        "ssl": False,
        "reasons": [f"nothing is labelled yet: {why}"],
        "advice": None,
        "train": None,
        "acquire": None,
    }
    return _Picks(images, why, {}, about)


Row = tuple[ImageId, str, str, Role]


def interleaved(train: Sequence[Row], check: Sequence[Row]) -> list[Row]:
    """Check images spread evenly among the others, so that a part of a batch has its share."""
    spread = [((2 * row + 1) / max(1, 2 * len(check)), 1, row) for row in range(len(check))]
    order = [((2 * row + 1) / max(1, 2 * len(train)), 0, row) for row in range(len(train))]
    return [(train, check)[kind][row] for _, kind, row in sorted(order + spread)]


def _picks(
    folder: ProjectFolder, planned: ProjectPlan, choice: Choice, n: int
) -> tuple[list[ImageId], str, dict[ImageId, str]]:
    """The ids that were chosen, in order, why, and the scores of those that have one."""
    if planned.acquire is None:
        return [], "", {}
    store = folder.store
    lines = store.read_lines(planned.acquire, SELECTED)[:n]
    scores: dict[ImageId, str] = {}
    if SCORES in store.artifacts(planned.acquire):
        text = store.file(planned.acquire, SCORES).read_text("utf-8")
        scores = {ImageId(row["id"]): row["score"] for row in csv.DictReader(text.splitlines())}
    why = f"{choice.method.label}: chosen by the model"
    return [ImageId(line) for line in lines], why, scores
