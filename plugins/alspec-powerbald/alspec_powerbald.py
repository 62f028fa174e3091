"""PowerBALD: images drawn by BALD's score to a power, without replacement.

A. Kirsch et al. Stochastic Batch Acquisition: A Simple Baseline for Deep Active Learning. TMLR,
2023.
B = images of a batch, N = candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from alspec.acquisition import base
from alspec.acquisition.bald import Bald, BaldParams

if TYPE_CHECKING:
    from torch import Tensor

    from alspec.datasets.base import ImageId

LEAST = 1e-12
"""Of a score, so that its logarithm is finite; such images come last."""


def power_ranking(
    scores_N: NDArray[np.float64], beta: float, rng: np.random.Generator
) -> NDArray[np.int64]:
    """All rows in the order in which drawing by score ** beta without replacement gives them.

    The Gumbel trick: the order of log s + Gumbel(0, 1 / beta), highest first.

    Args:
        scores_N: not negative, (N,).
        beta: above 0; 0 would be chance, infinity the order of the scores.
        rng: draws N numbers.
    """
    noise_N = rng.gumbel(scale=1 / beta, size=len(scores_N))
    return np.argsort(-(np.log(np.maximum(scores_N, LEAST)) + noise_N), kind="stable")


class PowerbaldParams(BaldParams):
    """How much chance, and how many dropout passes."""

    beta: float = Field(default=1.0, gt=0, description="power of the score; large is BALD itself")


class Powerbald:
    """Draws candidates by their mutual information between prediction and weights."""

    name: ClassVar[str] = "powerbald"
    family: ClassVar[base.Family] = base.Family.BATCH
    needs: ClassVar[frozenset[base.Need]] = frozenset({base.Need.PASSES})
    Params: ClassVar[type[PowerbaldParams]] = PowerbaldParams
    version: ClassVar[int] = 1

    def __init__(self, params: PowerbaldParams) -> None:
        self.params = params

    def reduce(self, outputs: base.Outputs) -> Tensor:
        """BALD's score of an image, (B,)."""
        return Bald(self.params).score(outputs)

    def select(
        self, candidates: base.Candidates, n: int, rng: np.random.Generator
    ) -> Sequence[ImageId]:
        """The n ids in the order of the draws; candidates are taken in the order of their ids."""
        if candidates.reduced_N is None:
            raise ValueError("powerbald needs the candidates' scores")
        by_id = sorted(range(len(candidates.ids)), key=candidates.ids.__getitem__)
        scores_N = candidates.reduced_N[by_id].double().cpu().numpy()
        rows = power_ranking(scores_N, self.params.beta, rng)[:n]
        return [candidates.ids[by_id[row]] for row in rows.tolist()]
