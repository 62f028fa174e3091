"""The kind `acquire`: a labelled set and a model to the next labelled set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from alspec.acquisition.base import Need
from alspec.plan.arms import acquisition_function
from alspec.plan.kinds.record import FORWARD_FACTOR, Amount, JsonArtifact, Kind, Scale, StepParams

INITIAL = "initial"
"""The method of the random initial set; no acquisition function has this name."""

GIVEN = "given"
"""The method of a labelled set that people made; no acquisition function has this name."""

SELECTED = "selected.txt"
"""Artifact: the ids chosen now, a line each, best first."""

LABELLED = "labelled.txt"
"""Artifact: the ids of the whole labelled set, a line each, in the order of choice."""

SCORES = "scores.csv"
"""Artifact: `id,score` of every candidate, highest first; for methods that score."""

PASS_FACTOR = 0.15
"""A dropout pass, which runs the decoder alone, against a whole forward pass."""


@dataclass(frozen=True)
class InitialParams(StepParams):
    """What decides the random initial set of a seed.

    Attributes:
        images: how many.
        seed: of the study.
    """

    images: int
    seed: int
    method: str = INITIAL


@dataclass(frozen=True)
class GivenParams(StepParams):
    """A labelled set that is named file by file.

    Attributes:
        images: how many.
        files: id, SHA-256 of image and of mask.
        dataset: what decides pixels and labels beside the files.
    """

    images: int
    files: Sequence[Sequence[str]]
    dataset: Mapping[str, object]
    method: str = GIVEN


@dataclass(frozen=True)
class AcquireParams(StepParams):
    """What decides a choice by an acquisition function.

    Attributes:
        method: its name.
        method_version: of its code.
        method_params: as its own model dumps them.
        candidates: the restriction to every n-th image that is made here, if any.
        images: labelled then, in all.
        seed: of the study.
        excluded: ids that may not be chosen.
    """

    OPTIONAL = frozenset({"excluded"})

    method: str
    method_version: int
    method_params: Mapping[str, object]
    candidates: Mapping[str, int] | None
    images: int
    seed: int
    excluded: Sequence[str] = ()


def labelled_images(params: Mapping[str, object]) -> int:
    """How many images are labelled after a step; the parameters of every method say it."""
    images = params["images"]
    if not isinstance(images, int):
        raise TypeError(f"`images` of a step is {images!r}, not a number")
    return images


@dataclass(frozen=True)
class AcquireFacts(JsonArtifact):
    """What a choice took.

    Attributes:
        seconds: wall time.
        device: that scored.
    """

    FILE: ClassVar[str] = "acquire.json"

    seconds: float
    device: str = ""


def _amount(recipe: Mapping[str, object], scale: Scale) -> Amount:
    params = AcquireParams.of(recipe)
    passes = 0
    if Need.PASSES in acquisition_function(params.method).needs:
        given = params.method_params.get("passes")
        passes = given if isinstance(given, int) else 0
    facts = {"method": params.method, "method_params": params.method_params}
    factor = FORWARD_FACTOR * (1 + PASS_FACTOR * passes)
    return Amount(scale.candidates, factor, facts)


KIND = Kind("acquire", 1, "alspec.steps.acquire:perform", _amount)
