"""Herding: the images most typical of the others, by greedy coverage of their directions.

MaxHerding (Bae et al., ECCV 2024) without weights, UHerding (Bae et al., ICLR 2025) with each
image weighted by the model's uncertainty of it; written from the formula.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, overload

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from alspec.acquisition import base
from alspec.acquisition.blocks import blocks_of, mean_over
from alspec.acquisition.coreset import as_tensor, check_features

if TYPE_CHECKING:
    from torch import Tensor

    from alspec.datasets.base import ImageId

BANDWIDTH = 0.8
"""Of the kernel without a model, and where fewer than two images are labelled."""

LEAST_BANDWIDTH = 1e-3
"""Where labelled images lie on one another."""


@overload
def max_herding(
    features_ND: NDArray[np.generic],
    labelled_MD: NDArray[np.generic],
    n: int,
    bandwidth: float = BANDWIDTH,
    weights_N: NDArray[np.generic] | None = None,
) -> NDArray[np.int64]: ...
@overload
def max_herding(
    features_ND: Tensor,
    labelled_MD: Tensor,
    n: int,
    bandwidth: float = BANDWIDTH,
    weights_N: Tensor | None = None,
) -> Tensor: ...
def max_herding(
    features_ND: NDArray[np.generic] | Tensor,
    labelled_MD: NDArray[np.generic] | Tensor,
    n: int,
    bandwidth: float = BANDWIDTH,
    weights_N: NDArray[np.generic] | Tensor | None = None,
) -> NDArray[np.int64] | Tensor:
    """Greedy coverage: n times the row u of the largest sum_x w(x) max(k(x, u) - m(x), 0).

    k(x, u) = exp(-||z_x - z_u||^2 / h^2) with directions z, features divided by their lengths; m(x)
    is the largest k of x with a labelled or chosen row, 0 without any. The choice is that of
    brute force in float64, whatever the type of the features; gains within a share of 1e-9 are
    equal, and of equal ones the lowest row is chosen. A row of zeros has no direction: it lies at
    a distance of 1 from every direction. Features stay on their device and are not copied whole.

    Args:
        features_ND: the candidates, (N, D), finite.
        labelled_MD: the labelled set, (M, D), finite; M may be 0.
        n: rows to choose, 0 to N.
        bandwidth: h, above 0; directions are within a distance of 2.
        weights_N: w, (N,), finite and not negative; None is 1 for every row.

    Returns:
        Different rows of `features_ND` in order of choice, (n,), int64; an array for an array, a
        tensor on the same device for a tensor.

    Raises:
        ValueError: an argument is out of its range, does not fit, or is not finite.
    """
    import torch

    from alspec.acquisition.coverage import CoverageSearch

    features, labelled = as_tensor(features_ND), as_tensor(labelled_MD)
    check_features(features, labelled, n)
    weights = (
        torch.ones(len(features), dtype=torch.float64)
        if weights_N is None
        else as_tensor(weights_N).double()
    )
    _check_weights(weights, len(features), bandwidth)
    with torch.no_grad():
        rows = CoverageSearch(features, labelled, bandwidth, weights).rows(n)
    if isinstance(features_ND, np.ndarray):
        return rows
    return torch.from_numpy(rows).to(features_ND.device)


def _check_weights(weights: Tensor, count: int, bandwidth: float) -> None:
    if weights.shape != (count,):
        raise ValueError(f"weights must be ({count},), one a row, got {tuple(weights.shape)}")
    if count and not (weights.isfinite().all() and bool((weights >= 0).all())):
        raise ValueError("weights must be finite and not negative")
    if not 0 < bandwidth < float("inf"):
        raise ValueError(f"the bandwidth must be above 0, got {bandwidth}")


def mean_margin_uncertainty(log_p_BCHW: Tensor) -> Tensor:
    """Mean over the pixels of 1 - (p1 - p2), the two largest probabilities.

    Args:
        log_p_BCHW: log-probabilities, (B, C, H, W), C >= 2.

    Returns:
        (B,), within 0 (certain) and 1 (two classes equally likely everywhere).
    """
    top_B2HW = log_p_BCHW.topk(2, dim=1).values.exp()
    return (1 - (top_B2HW[:, 0] - top_B2HW[:, 1])).mean(dim=(1, 2))


def least_distance(features_MD: Tensor) -> float | None:
    """The least distance between the directions of two rows; None for fewer than two rows."""
    import torch

    count = len(features_MD)
    if count < 2:
        return None
    lengths_M1 = torch.linalg.vector_norm(features_MD, dim=1, keepdim=True, dtype=torch.float64)
    unit_MD = features_MD.double() / lengths_M1.clamp_min(torch.finfo(torch.float64).tiny)
    closest = -1.0
    pair = (0, 1)
    for start in range(0, count, 1024):
        cosine_XM = unit_MD[start : start + 1024] @ unit_MD.T
        cosine_XM[torch.arange(len(cosine_XM)), torch.arange(start, start + len(cosine_XM))] = -2
        largest = int(cosine_XM.argmax())
        if float(cosine_XM.flatten()[largest]) > closest:
            closest = float(cosine_XM.flatten()[largest])
            pair = (start + largest // count, largest % count)
    return float((unit_MD[pair[0]] - unit_MD[pair[1]]).norm())


class HerdingParams(base.Params):
    """The kernel's width, and whether uncertain images weigh more."""

    bandwidth: float | None = Field(
        default=None,
        gt=0,
        description="width of the kernel on unit features; by default the least distance between "
        "two labelled images",
    )
    weighted: bool = Field(default=True, description="weight images by the model's uncertainty")


class Herding:
    """Chooses candidates that cover the others best, the model's uncertainty as weight."""

    name: ClassVar[str] = "herding"
    family: ClassVar[base.Family] = base.Family.BATCH
    needs: ClassVar[frozenset[base.Need]] = frozenset({base.Need.FEATURES, base.Need.PROBABILITIES})
    Params: ClassVar[type[BaseModel]] = HerdingParams
    version: ClassVar[int] = 1

    def __init__(self, params: HerdingParams) -> None:
        self.params = params

    def reduce(self, outputs: base.Outputs) -> Tensor:
        """An image's weight, (B,): the mean margin uncertainty of its pixels."""
        return mean_over(
            blocks_of(outputs), lambda block: mean_margin_uncertainty(block.log_p_BCHW)
        )

    def select(
        self, candidates: base.Candidates, n: int, rng: np.random.Generator
    ) -> Sequence[ImageId]:
        """The n ids in order of choice; equally good images in the order of their ids.

        Raises:
            ValueError: the candidates carry no features or weights, or see `max_herding`.
        """
        features_ND, labelled_MD = candidates.features_ND, candidates.labelled_features_MD
        weights_N = candidates.reduced_N
        if features_ND is None or labelled_MD is None or weights_N is None:
            raise ValueError("herding needs features and weights of the candidates")
        by_id = sorted(range(len(candidates.ids)), key=candidates.ids.__getitem__)
        if by_id != list(range(len(by_id))):  # indexing copies the features
            features_ND, weights_N = features_ND[by_id], weights_N[by_id]
        width = self.params.bandwidth
        if width is None:
            apart = least_distance(labelled_MD)
            width = BANDWIDTH if apart is None else max(LEAST_BANDWIDTH, apart)
        rows = max_herding(
            features_ND, labelled_MD, n, width, weights_N if self.params.weighted else None
        )
        return [candidates.ids[by_id[row]] for row in rows.tolist()]
