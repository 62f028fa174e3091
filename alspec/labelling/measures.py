"""What a project's models were measured to be, image by image on the same images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alspec.datasets.base import ImageId
from alspec.errors import StoreError
from alspec.labelling.trainings import Training
from alspec.labelling.worth import miou
from alspec.plan.kinds.evaluate import CONFUSIONS, IMAGES
from alspec.plan.step import StepKey
from alspec.store.project_folder import ProjectFolder


@dataclass(frozen=True)
class Measured:
    """Models, by labelled images, and what each says of the same images.

    Attributes:
        trainings: in the order of `confusions`.
        images: ids, those that all of them were measured on.
        confusions: for each training (N, C, C), pixels by truth and prediction.
    """

    trainings: Sequence[Training]
    images: Sequence[ImageId]
    confusions: Sequence[NDArray[np.int64]]


def measured(folder: ProjectFolder, trainings: Sequence[Training]) -> Measured:
    """The measures of those trainings that were measured on all that the newest one was."""
    found = {training.key: _by_image(folder, training) for training in trainings}
    newest = max(trainings, key=lambda one: one.number, default=None)
    images = sorted(found[newest.key]) if newest else []
    whole = [one for one in trainings if images and found[one.key].keys() >= set(images)]
    confusions = [np.stack([found[one.key][image] for image in images]) for one in whole]
    return Measured(whole, images, confusions)


def mious(found: Measured) -> Mapping[StepKey, float]:
    """MIoU in percent of each training."""
    pairs = zip(found.trainings, found.confusions, strict=True)
    return {training.key: miou(matrices.sum(axis=0)) for training, matrices in pairs}


def _by_image(folder: ProjectFolder, training: Training) -> dict[ImageId, NDArray[np.int64]]:
    """Confusion matrix by image; nothing for an evaluation that is not there any more."""
    found: dict[ImageId, NDArray[np.int64]] = {}
    for key in training.evaluations:
        try:
            images = folder.store.read_lines(key, IMAGES)
            matrices = folder.store.read_array(key, CONFUSIONS)
        except StoreError:
            return {}
        found |= dict(zip(map(ImageId, images), matrices, strict=True))
    return found
