"""ProbCover: greedily the images that cover the most others within a radius.

O. Yehuda et al. Active Learning Through a Covering Lens. NeurIPS 2022.
N = candidates, M = labelled images, P = N + M, D = feature channels.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field

from alspec.acquisition import base

if TYPE_CHECKING:
    from torch import Tensor

    from alspec.datasets.base import ImageId

RADII = np.linspace(0.05, 1.0, 20)
"""Tried from small to large; directions are within a distance of 2."""
_SAMPLE = 2000


def unit_length(features_PD: Tensor) -> Tensor:
    """Features divided by their lengths; a row of zeros stays one."""
    import torch

    single = features_PD.float()
    lengths_P1 = torch.linalg.vector_norm(single, dim=1, keepdim=True)
    unit: Tensor = single / lengths_P1.clamp_min(1e-12)
    return unit


def greedy_cover(within_PP: Tensor, labelled: int, n: int) -> list[int]:
    """N times the candidate that covers the most points that are not covered yet.

    Args:
        within_PP: whether two points are within the radius, (P, P), bool, symmetric; the
            candidates come first. It is changed.
        labelled: M, the last points, which cover what is near them from the start.
        n: rows to choose, 0 to N.

    Returns:
        Different rows of the candidates, in order of choice; of equal ones the lowest first.
    """
    import torch

    count = len(within_PP) - labelled
    open_N = torch.ones(count, dtype=torch.bool, device=within_PP.device)
    covered_P = within_PP[count:].any(dim=0)
    gains_N = within_PP[:count][:, ~covered_P].sum(dim=1)
    chosen: list[int] = []
    for _ in range(n):
        row = int(torch.where(open_N, gains_N, -1).argmax())
        chosen.append(row)
        open_N[row] = False
        newly = within_PP[row] & ~covered_P
        if newly.any():
            gains_N = gains_N - within_PP[:count][:, newly].sum(dim=1)
            covered_P |= newly
    return chosen


def purest_radius(
    points_PD: Tensor, clusters: int, purity: float, rng: np.random.Generator
) -> float:
    """The largest radius at which this share of points has neighbours of its own cluster alone.

    Args:
        points_PD: of unit length; of many a sample is looked at.
        clusters: of the k-means that stands in for labels.
        purity: the share, within (0, 1].
        rng: draws the sample and the first centres.
    """
    import torch
    from scipy.cluster.vq import kmeans2

    rows = np.sort(rng.choice(len(points_PD), min(_SAMPLE, len(points_PD)), replace=False))
    points = points_PD[rows].double().cpu()
    first = np.sort(rng.choice(len(points), min(clusters, len(points)), replace=False))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # copies leave clusters empty, which does no harm
        _, labels = kmeans2(points.numpy(), points.numpy()[first], minit="matrix")
    apart = torch.cdist(points, points)
    other = torch.from_numpy(labels[:, None] != labels[None, :])
    to_others = torch.where(other, apart, torch.inf).amin(dim=1).numpy()
    pure = [float(radius) for radius in RADII if (to_others > radius).mean() >= purity]
    return max(pure, default=float(RADII[0]))


class ProbcoverParams(base.Params):
    """The radius, or what it is found by."""

    radius: float | None = Field(
        default=None, gt=0, le=2, description="between unit features; none finds it by purity"
    )
    clusters: int = Field(default=20, ge=1, description="of the k-means that purity looks at")
    purity: float = Field(default=0.95, gt=0, le=1, description="share of pure neighbourhoods")


class Probcover:
    """Chooses candidates that cover the most others within a radius."""

    name: ClassVar[str] = "probcover"
    family: ClassVar[base.Family] = base.Family.BATCH
    needs: ClassVar[frozenset[base.Need]] = frozenset({base.Need.FEATURES})
    Params: ClassVar[type[ProbcoverParams]] = ProbcoverParams
    version: ClassVar[int] = 1

    def __init__(self, params: ProbcoverParams) -> None:
        self.params = params

    def select(
        self, candidates: base.Candidates, n: int, rng: np.random.Generator
    ) -> Sequence[ImageId]:
        """The n ids in order of choice; candidates are taken in the order of their ids."""
        import torch

        if candidates.features_ND is None or candidates.labelled_features_MD is None:
            raise ValueError("probcover needs features of the candidates and of the labelled set")
        by_id = sorted(range(len(candidates.ids)), key=candidates.ids.__getitem__)
        labelled = candidates.labelled_features_MD
        points = unit_length(torch.cat([candidates.features_ND[by_id], labelled]))
        radius = self.params.radius
        if radius is None:
            radius = purest_radius(points, self.params.clusters, self.params.purity, rng)
        parts = [torch.cdist(some, points) <= radius for some in torch.split(points, 1024)]
        rows = greedy_cover(torch.cat(parts), len(labelled), n)
        return [candidates.ids[by_id[row]] for row in rows]
