"""The plugin door: what an acquisition function declares, what it sees and what it must return.

Shapes in names: K = dropout passes, B = images of a batch, C = classes, H, W = pixels,
N = candidates, M = labelled images, D = feature channels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np
from pydantic import BaseModel, Field, SerializerFunctionWrapHandler, model_serializer

from alspec.spec.fields import Frozen

if TYPE_CHECKING:
    from torch import Tensor

    from alspec.datasets.base import ImageId


class Family(str, Enum):
    """The paper's families of methods, and the baselines listed beside them in tables."""

    RANDOM = "random"
    SINGLE = "single"
    BATCH = "batch"


class Need(str, Enum):
    """What an acquisition function must be given; the planner and the model code provide it."""

    PROBABILITIES = "probabilities"
    MIRROR = "mirror"
    PASSES = "passes"
    FEATURES = "features"
    GRADIENTS = "gradients"


class Params(Frozen):
    """The parameters of an acquisition function; a function without any uses this class itself."""


class PassesParams(Params):
    """Parameters of a function that needs dropout passes: subclass and keep `passes`."""

    passes: int = 10


class FeaturesParams(Params):
    """Parameters of a function that needs features and lets the spec say how they are pooled."""

    grid: int = Field(
        default=1, ge=1, le=16, description="features are averaged in grid x grid cells of an image"
    )

    @model_serializer(mode="wrap")
    def _as_chosen(self, handler: SerializerFunctionWrapHandler) -> dict[str, object]:
        """One cell says nothing, so that keys of before there were more hold."""
        dumped: dict[str, object] = handler(self)
        return {k: v for k, v in dumped.items() if k != "grid" or v != 1}


class Part(Protocol):
    """Some rows of some images of a batch."""

    @property
    def images(self) -> slice:
        """Which images of the batch."""
        ...

    @property
    def pixel_fraction(self) -> float:
        """The rows' share of an image's pixels; the shares of an image add up to 1."""
        ...


class Block(Part, Protocol):
    """What a model says of a part: a method that averages over pixels needs no more."""

    @property
    def log_p_BCHW(self) -> Tensor:
        """Log-probabilities of these pixels (need: probabilities)."""
        ...

    @property
    def log_p_mirror_BCHW(self) -> Tensor:
        """Log-probabilities of these pixels in the mirror images, mirrored back (need: mirror)."""
        ...


class Outputs(Protocol):
    """What the model says of one batch of images, on the device; only what was asked for exists.

    Log-probabilities are finite and their logsumexp over C is 0. They come whole, and also a few
    rows at a time (`acquisition.blocks`), which is quicker and takes little memory.
    """

    @property
    def log_p_BCHW(self) -> Tensor:
        """Log-probabilities of the images (need: probabilities)."""
        ...

    @property
    def log_p_mirror_BCHW(self) -> Tensor:
        """Log-probabilities of the mirror images, mirrored back (need: mirror)."""
        ...

    @property
    def log_p_passes(self) -> Iterable[Tensor]:
        """K tensors (B, C, H, W), one a dropout pass, made while iterating (need: passes)."""
        ...

    @property
    def features_BD(self) -> Tensor:
        """A feature vector an image (need: features)."""
        ...

    def features_in_cells(self, grid: int) -> Tensor:
        """The same averaged in grid x grid cells, (B, D * grid * grid) (need: features)."""
        ...

    @property
    def gradients_BCD(self) -> Tensor:
        """Gradient of an image's loss by the weights of the last layer, (B, C, D).

        The loss is the mean cross-entropy over the pixels of the decode head's own resolution, as
        if the predicted classes were the labels (need: gradients).
        """
        ...


@dataclass(frozen=True, slots=True)
class Candidates:
    """What a batch or random method chooses from: unlabelled images in time order.

    Attributes:
        ids: N image ids.
        sequences: the sequence of each candidate.
        positions: the place of each candidate among its sequence's images in the pool, from 0,
            labelled ones counted; empty where candidates are all there is.
        labelled_ids: M image ids, in the order they were labelled.
        labelled_sequences: the sequence of each labelled image.
        labelled_positions: the place of each.
        features_ND: a feature vector for each candidate (need: features), else None.
        labelled_features_MD: the same for the labelled set (need: features), else None.
        reduced_N: `reduce` of the method, a row a candidate, (N, ...), where it has one.
        labelled_reduced_M: the same for the labelled set.
    """

    ids: Sequence[ImageId]
    sequences: Sequence[str]
    positions: Sequence[int] = ()
    labelled_ids: Sequence[ImageId] = ()
    labelled_sequences: Sequence[str] = ()
    labelled_positions: Sequence[int] = ()
    features_ND: Tensor | None = None
    labelled_features_MD: Tensor | None = None
    reduced_N: Tensor | None = None
    labelled_reduced_M: Tensor | None = None


class Acquisition(Protocol):
    """An acquisition function (entry point group `alspec.acquisition`).

    Implement `score` for family single, `select` for families random and batch. A method sees no
    label, no path and no loader. Randomness comes from `rng` alone. Equal scores are ordered by
    image id, by the caller.
    """

    name: ClassVar[str]
    family: ClassVar[Family]
    needs: ClassVar[frozenset[Need]]
    Params: ClassVar[type[BaseModel]]
    version: ClassVar[int]
    """Part of a step's key: raise it when the choice for the same model and pool changes."""

    def __init__(self, params: BaseModel) -> None: ...


class SingleAcquisition(Acquisition, Protocol):
    """Scores every image on its own."""

    def score(self, outputs: Outputs) -> Tensor:
        """Scores of the B images of a batch, finite, higher is chosen first."""
        ...


class BatchAcquisition(Acquisition, Protocol):
    """Chooses a set of images together, or at random.

    A method of family batch that needs more than features also has `reduce(outputs) -> (B, ...)`:
    what it needs of each image of a batch of `Outputs`. It is called for the candidates and
    the labelled set, and comes back in `Candidates.reduced_N` and `labelled_reduced_M`.

    A method that needs nothing of a model and has `chooses_first = True` also chooses its own
    initial set, from a pool where nothing is labelled.
    """

    def select(self, candidates: Candidates, n: int, rng: np.random.Generator) -> Sequence[ImageId]:
        """The n different ids to label next, all of them among the candidates."""
        ...
