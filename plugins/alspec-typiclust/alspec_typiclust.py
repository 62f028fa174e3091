"""TypiClust: of each cluster without a label, the most typical image.

G. Hacohen, A. Dekel, D. Weinshall. Active Learning on a Budget: Opposite Strategies Suit High and
Low Budgets. ICML 2022.
N = candidates, M = labelled images, P = N + M, K = clusters, D = feature channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field

from alspec.acquisition import base

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from alspec.datasets.base import ImageId

ROUNDS = 100
"""Of Lloyd's algorithm, at most."""


def unit_length(features_PD: Tensor) -> Tensor:
    """Features divided by their lengths, in float64; a row of zeros stays one."""
    import torch

    wide = features_PD.double()
    unit: Tensor = wide / torch.linalg.vector_norm(wide, dim=1, keepdim=True).clamp_min(1e-12)
    return unit


def k_means(points_PD: Tensor, clusters: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """The cluster of each point, by Lloyd's algorithm from k-means++ centres, (P,).

    Args:
        points_PD: float64, P >= clusters.
        clusters: K, from 1; points that coincide may leave some of them empty.
        rng: draws the first centres.
    """
    import torch

    nearest = torch.full((len(points_PD),), torch.inf, dtype=torch.float64).to(points_PD.device)
    rows: list[int] = []
    for draw in rng.random(clusters):
        weights = nearest.cpu().numpy() if rows else np.ones(len(points_PD))
        edges = np.cumsum(weights if weights.sum() > 0 else np.ones(len(points_PD)))
        rows.append(int(np.searchsorted(edges, draw * edges[-1], side="right")))
        nearest = torch.minimum(nearest, (points_PD - points_PD[rows[-1]]).square().sum(dim=1))
    centres = points_PD[rows]
    assigned = torch.full((len(points_PD),), -1, device=points_PD.device)
    for _ in range(ROUNDS):
        parts = [torch.cdist(some, centres).argmin(dim=1) for some in torch.split(points_PD, 4096)]
        now = torch.cat(parts)
        if now.equal(assigned):
            break
        assigned = now
        sums = torch.zeros_like(centres).index_add_(0, assigned, points_PD)
        sizes = torch.bincount(assigned, minlength=clusters)[:, None]
        centres = torch.where(sizes > 0, sums / sizes.clamp_min(1), centres)
    return assigned.cpu().numpy()


def most_typical(points_PD: Tensor, neighbours: int) -> int:
    """The row whose mean distance to its nearest other rows is least; the lowest of equal ones."""
    import torch

    k = min(neighbours, len(points_PD) - 1)
    if k < 1:
        return 0
    apart = torch.cdist(points_PD, points_PD)
    near = apart.topk(k + 1, dim=1, largest=False).values[:, 1:]
    return int(near.mean(dim=1).argmin())


def typical_rows(
    points_PD: Tensor, labelled: int, n: int, params: TypiclustParams, rng: np.random.Generator
) -> list[int]:
    """Rows of the candidates, in order of choice.

    Clusters with the fewest labelled images come first, of those the largest; every round over the
    clusters takes one image of each.

    Args:
        points_PD: the N candidates, then the labelled images, of unit length.
        labelled: M.
        n: rows to choose, 0 to N.
        params: of the method.
        rng: for the clustering.
    """
    if not n:
        return []
    count = len(points_PD) - labelled
    clusters = k_means(points_PD, min(labelled + n, params.most_clusters, len(points_PD)), rng)
    covered = np.bincount(clusters[count:], minlength=clusters.max() + 1)
    sizes = np.bincount(clusters, minlength=clusters.max() + 1)
    small = sizes < params.smallest
    members = [np.flatnonzero(clusters[:count] == k).tolist() for k in range(len(sizes))]
    order = np.lexsort((-sizes, covered, small))
    chosen: list[int] = []
    while len(chosen) < n:
        for cluster in order:
            if members[cluster] and len(chosen) < n:
                at = most_typical(points_PD[members[cluster]], params.neighbours)
                chosen.append(members[cluster].pop(at))
    return chosen


class TypiclustParams(base.Params):
    """As in the paper, which gives these values."""

    neighbours: int = Field(default=20, ge=1, description="neighbours that typicality looks at")
    most_clusters: int = Field(default=500, ge=1, description="clusters, at most")
    smallest: int = Field(default=5, ge=1, description="smaller clusters come after all others")


class Typiclust:
    """Chooses the most typical candidates of clusters that hold no label yet."""

    name: ClassVar[str] = "typiclust"
    family: ClassVar[base.Family] = base.Family.BATCH
    needs: ClassVar[frozenset[base.Need]] = frozenset({base.Need.FEATURES})
    Params: ClassVar[type[TypiclustParams]] = TypiclustParams
    version: ClassVar[int] = 1

    def __init__(self, params: TypiclustParams) -> None:
        self.params = params

    def select(
        self, candidates: base.Candidates, n: int, rng: np.random.Generator
    ) -> Sequence[ImageId]:
        """The n ids in order of choice; candidates are taken in the order of their ids."""
        import torch

        if candidates.features_ND is None or candidates.labelled_features_MD is None:
            raise ValueError("typiclust needs features of the candidates and of the labelled set")
        by_id = sorted(range(len(candidates.ids)), key=candidates.ids.__getitem__)
        labelled = candidates.labelled_features_MD
        points = unit_length(torch.cat([candidates.features_ND[by_id], labelled]))
        rows = typical_rows(points, len(labelled), n, self.params, rng)
        return [candidates.ids[by_id[row]] for row in rows]
