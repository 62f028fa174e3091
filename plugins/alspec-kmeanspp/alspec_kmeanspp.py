"""k-means++ sampling: images are drawn by their squared distance to what is labelled or drawn.

D. Arthur, S. Vassilvitskii. k-means++: The Advantages of Careful Seeding. SODA 2007.
N = candidates, M = labelled images, D = feature channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from alspec.acquisition import base

if TYPE_CHECKING:
    from torch import Tensor

    from alspec.datasets.base import ImageId


def d2_sampling(
    features_ND: Tensor, centres_MD: Tensor, n: int, rng: np.random.Generator
) -> list[int]:
    """Rows drawn one by one, each by its squared distance to the nearest centre or drawn row.

    Without any centre the first is drawn uniformly. Rows that equal a centre are drawn, uniformly,
    once all others are.

    Args:
        features_ND: the candidates, (N, D), finite.
        centres_MD: the labelled set, (M, D); M may be 0.
        n: rows to draw, 0 to N.
        rng: draws n numbers.

    Returns:
        n different rows, in order of choice.
    """
    import torch

    if not n:
        return []
    features = features_ND.double()
    nearest = torch.full((len(features),), torch.inf, dtype=torch.float64, device=features.device)
    for centres in torch.split(centres_MD.double(), 256) if len(centres_MD) else ():
        nearest = torch.minimum(nearest, torch.cdist(features, centres).square().amin(dim=1))
    open_N = np.ones(len(features), dtype=bool)
    chosen: list[int] = []
    for draw in rng.random(n):
        weights = np.where(open_N, nearest.cpu().numpy(), 0.0)
        if not 0 < weights.sum() < np.inf:
            weights = open_N.astype(float)
        edges = np.cumsum(weights)
        row = int(np.searchsorted(edges, draw * edges[-1], side="right"))
        chosen.append(row)
        open_N[row] = False
        distance = (features - features[row]).square().sum(dim=1)
        nearest = torch.minimum(nearest, distance)
    return chosen


class Kmeanspp:
    """Draws candidates far from the labelled set and from one another."""

    name: ClassVar[str] = "kmeanspp"
    family: ClassVar[base.Family] = base.Family.BATCH
    needs: ClassVar[frozenset[base.Need]] = frozenset({base.Need.FEATURES})
    Params: ClassVar[type[base.Params]] = base.Params
    version: ClassVar[int] = 1

    def __init__(self, params: base.Params) -> None:
        self.params = params

    def select(
        self, candidates: base.Candidates, n: int, rng: np.random.Generator
    ) -> Sequence[ImageId]:
        """The n ids in the order of the draws; candidates are taken in the order of their ids."""
        if candidates.features_ND is None or candidates.labelled_features_MD is None:
            raise ValueError("kmeanspp needs features of the candidates and of the labelled set")
        by_id = sorted(range(len(candidates.ids)), key=candidates.ids.__getitem__)
        features = candidates.features_ND[by_id]
        rows = d2_sampling(features, candidates.labelled_features_MD, n, rng)
        return [candidates.ids[by_id[row]] for row in rows]
