"""ClaSP PE: class-wise predictive entropy with noise that falls as labels grow (TMLR 2026).

B = images of a batch, N = candidates, M = labelled images, C = classes, H, W = pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from alspec.acquisition import base
from alspec.acquisition.blocks import blocks_of, mean_over
from alspec.acquisition.entropy import finite_log

if TYPE_CHECKING:
    from torch import Tensor

    from alspec.datasets.base import ImageId

LEAST = 1e-12
"""Of a score, so that its logarithm is finite."""


def entropies(log_p_BCHW: Tensor) -> Tensor:
    """Mean over the pixels of H, and of p_c H for each class, in nats.

    Args:
        log_p_BCHW: log-probabilities, (B, C, H, W); -inf means p = 0.

    Returns:
        (B, 1 + C): s, then s_c; the s_c of an image add up to its s.
    """
    import torch

    log_p = finite_log(log_p_BCHW)
    p_BCHW = log_p.exp()
    entropy_B1HW = -(p_BCHW * log_p).sum(dim=1, keepdim=True)
    by_class_BC = (p_BCHW * entropy_B1HW).mean(dim=(2, 3))
    return torch.cat([entropy_B1HW.mean(dim=(2, 3)), by_class_BC], dim=1)


def class_balanced(
    scores_N1C: NDArray[np.float64], n: int, share: float, beta: float, rng: np.random.Generator
) -> list[int]:
    """N rows: a share of them in equal parts over the classes, the rest by the first column.

    Args:
        scores_N1C: s and the s_c, not negative, (N, 1 + C).
        n: rows to choose, 0 to N.
        share: of the n that classes choose, within [0, 1]; rounded half up.
        beta: the noise is Gumbel(0, 1 / beta) on ln s.
        rng: draws N (1 + C) numbers.

    Returns:
        Different rows in order of choice: class by class, the first classes one more where n does
        not divide; then by s.
    """
    noisy = np.log(np.maximum(scores_N1C, LEAST))
    noisy = noisy + rng.gumbel(scale=1 / beta, size=noisy.shape)
    orders = np.argsort(-noisy, axis=0, kind="stable")
    classes = scores_N1C.shape[1] - 1
    for_classes = int(n * share + 0.5)
    parts = [(for_classes + classes - 1 - c) // classes for c in range(classes)]
    chosen: list[int] = []
    taken: set[int] = set()
    for column, part in [*enumerate(parts, start=1), (0, n - for_classes)]:
        fresh = [row for row in orders[:, column].tolist() if row not in taken][:part]
        chosen += fresh
        taken.update(fresh)
    return chosen


class ClaspParams(base.Params):
    """The share that classes choose, and how noise falls."""

    class_share: float = Field(default=2 / 3, ge=0, le=1, description="of a batch, by class")
    first_beta: float = Field(
        default=1.0, gt=0, description="with nothing labelled; small is noisy"
    )
    last_beta: float = Field(default=100.0, gt=0, description="from `full_at` on")
    full_at: float = Field(default=0.5, gt=0, le=1, description="labelled share of the pool")

    @model_validator(mode="after")
    def _falls(self) -> ClaspParams:
        if self.last_beta < self.first_beta:
            raise ValueError("last_beta must be at least first_beta: noise falls as labels grow")
        return self

    def beta(self, labelled: int, candidates: int) -> float:
        """Beta for M labelled images and N candidates."""
        progress = min(1.0, labelled / max(1, labelled + candidates) / self.full_at)
        return float(self.first_beta * (self.last_beta / self.first_beta) ** progress)


class Clasp:
    """Chooses candidates by class-wise and whole entropy, with noise that falls with labels."""

    name: ClassVar[str] = "clasp"
    family: ClassVar[base.Family] = base.Family.BATCH
    needs: ClassVar[frozenset[base.Need]] = frozenset({base.Need.PROBABILITIES})
    Params: ClassVar[type[ClaspParams]] = ClaspParams
    version: ClassVar[int] = 1

    def __init__(self, params: ClaspParams) -> None:
        self.params = params

    def reduce(self, outputs: base.Outputs) -> Tensor:
        """Entropy of an image, whole and by class, (B, 1 + C)."""
        return mean_over(blocks_of(outputs), lambda block: entropies(block.log_p_BCHW))

    def select(
        self, candidates: base.Candidates, n: int, rng: np.random.Generator
    ) -> Sequence[ImageId]:
        """The n ids in order of choice; candidates are taken in the order of their ids."""
        if candidates.reduced_N is None or candidates.labelled_reduced_M is None:
            raise ValueError("clasp needs the entropies of the candidates and of the labelled set")
        by_id = sorted(range(len(candidates.ids)), key=candidates.ids.__getitem__)
        scores = candidates.reduced_N[by_id].double().cpu().numpy()
        beta = self.params.beta(len(candidates.labelled_reduced_M), len(by_id))
        rows = class_balanced(scores, n, self.params.class_share, beta, rng)
        return [candidates.ids[by_id[row]] for row in rows]
