"""What each model of a project was trained on: a record a training, written when it is done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TypedDict

from alspec.datasets.base import ImageId
from alspec.labelling.advice import Choice
from alspec.labelling.services import Services
from alspec.labelling.state import State
from alspec.plan.kinds.acquire import GivenParams
from alspec.plan.kinds.train import WEIGHTS
from alspec.plan.project import File, LabelledNow, ProjectPlan, plan_project
from alspec.plan.step import Step, StepKey
from alspec.spec.project import Project
from alspec.store.manifest import StepRecord
from alspec.store.project_folder import ProjectFolder
from alspec.system.atomic import write_json


@dataclass(frozen=True)
class Training:
    """A finished training.

    Attributes:
        key: of its train step.
        steps: the labelled set and the training, without paths.
        labelled: images it was trained on.
        images: SHA-256 of their ids, which identifies revisions of one labelled set.
        classes: names by id, which its masks speak in.
        files: id, SHA-256 of image and of mask, of each image it was trained on.
        ssl: with s4GAN.
        evaluations: steps that measured it, those of the last time.
        number: counts trainings in the order in which they were last trained on what was labelled.
    """

    key: StepKey
    steps: tuple[Step, ...]
    labelled: int
    images: str
    classes: tuple[str, ...]
    files: frozenset[File]
    ssl: bool
    evaluations: tuple[StepKey, ...]
    number: int


def read_trainings(folder: ProjectFolder, classes: Sequence[str]) -> list[Training]:
    """Recorded trainings by labelled images; of several on the same images the last.

    Args:
        folder: the project's.
        classes: the spec's. A model of others, or of these in another order, says other things by
            the same ids: nothing may be predicted with it, nor measured.
    """
    fitting = [one for one in all_trainings(folder) if one.classes == tuple(classes)]
    latest = {one.images: one for one in fitting}
    return sorted(latest.values(), key=lambda one: (one.labelled, one.number))


def untrained(trainings: Sequence[Training], now: Iterable[File]) -> int:
    """Labelled images that even the model that knows most of them lacks, as they are now."""
    files = frozenset(now)
    return min((len(files - one.files) for one in trainings), default=len(files))


class _TrainingRecord(TypedDict):
    """A training's file: what `Training` says, its steps without paths."""

    number: int
    labelled: int
    images: str
    ssl: bool
    steps: Sequence[StepRecord]
    evaluations: Sequence[str]


def _training(data: _TrainingRecord) -> Training:
    steps = tuple(Step.from_json(step) for step in data["steps"])
    given = _given(steps)
    return Training(
        key=steps[-1].key,
        steps=steps,
        labelled=int(data["labelled"]),
        images=str(data["images"]),
        classes=_names(given.dataset["classes"]),
        files=frozenset((ImageId(image), file, mask) for image, file, mask in given.files),
        ssl=bool(data["ssl"]),
        evaluations=tuple(StepKey(key) for key in data["evaluations"]),
        number=int(data["number"]),
    )


def _given(steps: Sequence[Step]) -> GivenParams:
    return GivenParams.of(next(step for step in steps if "files" in step.params).params)


def _names(recorded: object) -> tuple[str, ...]:
    return tuple(map(str, recorded)) if isinstance(recorded, list) else ()


def labelled_now(state: State, excluded: Sequence[ImageId] = ()) -> LabelledNow:
    """What is labelled, with the SHA-256 of its files.

    Args:
        state: of the project.
        excluded: ids that may not be chosen.

    Raises:
        DataError: a file is gone.
    """
    groups = state.check_groups()
    digests = state.dataset.digests([*state.train_ids, *chain(*groups)])
    return LabelledNow(
        train=[(image, *digests[image]) for image in state.train_ids],
        check=[[(image, *digests[image]) for image in group] for group in groups],
        apart=sorted(state.check | state.rejected.keys()),
        excluded=sorted(excluded),
    )


def plan_training(
    project: Project,
    folder: ProjectFolder,
    state: State,
    choice: Choice,
    *,
    ask: int = 0,
    excluded: Sequence[ImageId] = (),
    trust_config: bool = False,
) -> ProjectPlan:
    """Train on what is labelled now, measure this and former models, choose the next images.

    Args:
        project: the spec.
        folder: the project's, with the models so far.
        state: what is labelled; at least one image to train on.
        choice: the method, and whether its model is trained with SSL.
        ask: images to choose; 0 plans no choice.
        excluded: ids that may not be chosen.
        trust_config: training may run the project's own MMSegmentation config.

    Raises:
        InputError: the files do not allow it.
    """
    former = [
        training.steps
        for training in read_trainings(folder, project.classes)
        if folder.store.holds(training.key, WEIGHTS)
    ]
    return plan_project(
        project,
        labelled_now(state, excluded),
        method=choice.method,
        ssl=choice.ssl,
        ask=ask,
        former=former,
        trust_config=trust_config,
    )


def run_training(
    folder: ProjectFolder, planned: ProjectPlan, choice: Choice, services: Services
) -> None:
    """Do what is planned and record its training.

    Raises:
        StepFailed: a step failed; finished steps stay in the store.
    """
    services.run(planned.plan)
    _record(folder, planned, choice.ssl)


def _record(folder: ProjectFolder, planned: ProjectPlan, ssl: bool) -> None:
    """Write what was trained on and how it was measured; former ones get their new measures."""
    folder.trainings.mkdir(parents=True, exist_ok=True)
    known = {training.key: training for training in all_trainings(folder)}
    number = max((training.number for training in known.values()), default=0)
    for key, evaluations in planned.evaluations.items():
        if key in known:
            old = known[key]
            steps, at, own_ssl = old.steps, old.number, old.ssl
            if key == planned.train and at < number:  # masks are again what they were then
                number += 1
                at = number
                _path(folder, old.number, key).unlink(missing_ok=True)
        else:
            number += 1
            train = planned.plan.steps[key]
            steps, at, own_ssl = (planned.plan.steps[train.inputs["labelled"]], train), number, ssl
            pool = train.inputs.get("pool")
            steps = ((planned.plan.steps[pool],) if pool else ()) + steps
        _write(folder, steps, at, own_ssl, evaluations)


def all_trainings(folder: ProjectFolder) -> list[Training]:
    """Every recorded training, of whatever classes, by their numbers."""
    found = []
    for path in sorted(folder.trainings.glob("*.json")):
        try:
            found.append(_training(json.loads(path.read_text("utf-8"))))
        except (OSError, ValueError, LookupError, TypeError):
            continue  # it is a record alone: what it describes can be trained again
    return sorted(found, key=lambda one: one.number)


def _write(
    folder: ProjectFolder,
    steps: Sequence[Step],
    number: int,
    ssl: bool,
    evaluations: Sequence[StepKey],
) -> None:
    ids = [image for image, *_ in _given(steps).files]
    data: _TrainingRecord = {
        "number": number,
        "labelled": len(ids),
        "images": _digest(ids),
        "ssl": ssl,
        "steps": [replace(step, local_paths={}).to_json() for step in steps],
        "evaluations": list(evaluations),
    }
    write_json(_path(folder, number, steps[-1].key), data)


def _path(folder: ProjectFolder, number: int, key: StepKey) -> Path:
    return folder.trainings / f"{number:03d}-{key[:16]}.json"


def _digest(ids: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(ids).encode()).hexdigest()
