"""BADGE: images whose gradients of the last layer are large and differ from one another.

J. Ash et al. Deep Batch Active Learning by Diverse, Uncertain Gradient Lower Bounds. ICLR 2020.
B = images of a batch, N = candidates, C = classes, D = channels before the last layer, G = C D.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from alspec.acquisition import base

if TYPE_CHECKING:
    from torch import Tensor

    from alspec.datasets.base import ImageId


def diverse_gradients(gradients_NG: Tensor, n: int, rng: np.random.Generator) -> list[int]:
    """The row of the largest norm, then rows drawn by their squared distance to what is chosen.

    Args:
        gradients_NG: gradient embeddings, (N, G), finite.
        n: rows to choose, 0 to N.
        rng: draws the rows after the first.

    Returns:
        n different rows, in order of choice; of equal norms the lowest row comes first.
    """
    import torch

    if not n:
        return []
    row = int(gradients_NG.square().sum(dim=1, dtype=torch.float64).argmax())
    chosen = [row]
    open_N = np.ones(len(gradients_NG), dtype=bool)
    nearest = np.full(len(gradients_NG), np.inf)
    for draw in rng.random(n - 1):
        open_N[row] = False
        apart = (gradients_NG - gradients_NG[row]).square_().sum(dim=1, dtype=torch.float64)
        nearest = np.minimum(nearest, apart.cpu().numpy())
        weights = np.where(open_N, nearest, 0.0)
        if weights.sum() <= 0:  # all that is left are copies
            weights = open_N.astype(float)
        edges = np.cumsum(weights)
        row = int(np.searchsorted(edges, draw * edges[-1], side="right"))
        chosen.append(row)
    return chosen


class Badge:
    """Draws candidates whose gradient embeddings are large and far from one another."""

    name: ClassVar[str] = "badge"
    family: ClassVar[base.Family] = base.Family.BATCH
    needs: ClassVar[frozenset[base.Need]] = frozenset({base.Need.GRADIENTS})
    Params: ClassVar[type[base.Params]] = base.Params
    version: ClassVar[int] = 1

    def __init__(self, params: base.Params) -> None:
        self.params = params

    def reduce(self, outputs: base.Outputs) -> Tensor:
        """An image's gradient embedding, (B, G)."""
        return outputs.gradients_BCD.flatten(1)

    def select(
        self, candidates: base.Candidates, n: int, rng: np.random.Generator
    ) -> Sequence[ImageId]:
        """The n ids in the order of choice; candidates are taken in the order of their ids."""
        if candidates.reduced_N is None:
            raise ValueError("badge needs the candidates' gradients")
        by_id = sorted(range(len(candidates.ids)), key=candidates.ids.__getitem__)
        rows = diverse_gradients(candidates.reduced_N[by_id], n, rng)
        return [candidates.ids[by_id[row]] for row in rows]
