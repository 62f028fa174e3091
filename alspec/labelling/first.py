"""The first batch, and any other that is chosen without a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from alspec.acquisition.base import Candidates, Params
from alspec.acquisition.random import Random
from alspec.acquisition.uniform import Uniform
from alspec.datasets.base import Frame, ImageId
from alspec.labelling.state import State
from alspec.labelling.thumbnails import own_features, thumbnail_features
from alspec.spec.project import Project
from alspec.store.project_folder import ProjectFolder

WHY = {
    "herding": "herding: represents many others",
    "uniform": "uniform: evenly spaced in time",
    "random": "random: sampled uniformly",
}


def choose_without_model(
    project: Project,
    folder: ProjectFolder,
    state: State,
    candidates: Sequence[Frame],
    n: int,
    rng: np.random.Generator,
    progress: Callable[[int, int], None],
) -> list[ImageId]:
    """The n images to label first, in order of choice.

    Args:
        project: `first` names how.
        folder: keeps thumbnails.
        state: of the project.
        candidates: what is chosen from, in time order.
        n: at most as many as there are candidates.
        rng: for random.
        progress: called with images read and in all.
    """
    ids = [frame.id for frame in candidates]
    if project.first == "herding":
        return _herding(project, folder, state, ids, n, progress)
    function = Uniform(Params()) if project.first == "uniform" else Random(Params())
    return list(function.select(Candidates(ids, [f.sequence for f in candidates]), n, rng))


def _herding(
    project: Project,
    folder: ProjectFolder,
    state: State,
    candidates: Sequence[ImageId],
    n: int,
    progress: Callable[[int, int], None],
) -> list[ImageId]:
    """Greedy coverage of all images that are still to be labelled, given those that are."""
    from alspec.acquisition.herding import max_herding

    images = sorted(frame.id for frame in state.frames)
    if project.features:
        features = own_features(Path(project.features), images)
    else:
        features = thumbnail_features(state.dataset, images, folder.thumbnails, progress)
    row = {image: number for number, image in enumerate(images)}
    ordered = sorted(candidates)  # equal gains go by id
    labelled = sorted(state.labelled)
    chosen = max_herding(
        features[[row[image] for image in ordered]],
        features[[row[image] for image in labelled]].reshape(len(labelled), features.shape[1]),
        n,
    )
    return [ordered[number] for number in chosen]
