"""The kind `evaluate`: weights to a confusion matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from alspec.plan.kinds.record import FORWARD_FACTOR, Amount, JsonArtifact, Kind, Scale, StepParams

CONFUSION = "confusion.npy"
"""Artifact: pixel counts (C, C) int64, truth by prediction."""

CONFUSIONS = "confusions.npy"
"""Artifact: the same image by image, (N, C, C); where `by_image` asks for it."""

IMAGES = "images.txt"
"""Artifact: the ids of those N images, a line each."""


@dataclass(frozen=True)
class EvaluateParams(StepParams):
    """What decides an evaluation.

    Attributes:
        dataset: identity of the split.
        image_size: height, width to measure at; the dataset's where there is none.
        resizing: version of the code that resizes to it.
        files: id, SHA-256 of image and of mask, of the images to measure on; the split's if none.
        by_image: write a confusion matrix an image, too.
    """

    OPTIONAL = frozenset({"image_size", "resizing", "files", "by_image"})

    dataset: Mapping[str, object]
    image_size: Sequence[int] | None = None
    resizing: object = None
    files: Sequence[Sequence[str]] | None = None
    by_image: bool = False


@dataclass(frozen=True)
class EvaluateFacts(JsonArtifact):
    """What an evaluation measured.

    Attributes:
        classes: names, in the order of the matrix.
        images: measured on.
        seconds: it took.
    """

    FILE: ClassVar[str] = "evaluate.json"

    classes: Sequence[str]
    images: int = 0
    seconds: float = 0.0


def _amount(recipe: Mapping[str, object], scale: Scale) -> Amount:
    size = EvaluateParams.of(recipe).image_size
    return Amount(scale.validation_images, FORWARD_FACTOR, {"image_size": size})


KIND = Kind("evaluate", 1, "alspec.steps.evaluate:perform", _amount)
