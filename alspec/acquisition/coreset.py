"""Coreset: the images whose features the labelled set covers worst, by greedy k-center."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, overload

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from alspec.acquisition import base

if TYPE_CHECKING:
    from torch import Tensor

    from alspec.datasets.base import ImageId

_BLOCK_NUMBERS = 1 << 18
"""Differences held at a time: 2 MiB, which stays in a processor's cache."""


@overload
def k_center(features_ND: NDArray[Any], centres_MD: NDArray[Any], n: int) -> NDArray[np.int64]: ...
@overload
def k_center(features_ND: Tensor, centres_MD: Tensor, n: int) -> Tensor: ...
def k_center(
    features_ND: NDArray[Any] | Tensor, centres_MD: NDArray[Any] | Tensor, n: int
) -> NDArray[np.int64] | Tensor:
    """Farthest-first: n times the row with the largest Euclidean distance to its nearest centre.

    A chosen row becomes a centre. Distances are exact greedy ones, in float64. Of equally distant
    rows the lowest is chosen; without any centre all rows are equally far, so row 0 comes first.
    A row that equals a centre has distance 0 and comes last.

    Args:
        features_ND: the candidates, (N, D), finite.
        centres_MD: the labelled set, (M, D), finite; M may be 0.
        n: rows to choose, 0 to N.

    Returns:
        Different rows of `features_ND` in order of choice, (n,), int64; an array for an array, a
        tensor on the same device for a tensor.

    Raises:
        ValueError: n is negative or above N, a shape does not fit, or a feature is not finite.
    """
    features, centres = _float64(features_ND), _float64(centres_MD)
    _check(features, centres, n)
    nearest_N = np.full(len(features), np.inf)
    for centre_D in centres:
        _approach(nearest_N, features, centre_D)
    rows = np.empty(n, dtype=np.int64)
    for pick in range(n):
        row = rows[pick] = np.argmax(nearest_N)
        _approach(nearest_N, features, features[row])
        nearest_N[row] = -np.inf
    if isinstance(features_ND, np.ndarray):
        return rows
    import torch

    return torch.from_numpy(rows).to(features_ND.device)


def _float64(array: NDArray[Any] | Tensor) -> NDArray[np.float64]:
    plain = array if isinstance(array, np.ndarray) else array.detach().cpu().double().numpy()
    return np.ascontiguousarray(plain, dtype=np.float64)


def _check(features: NDArray[np.float64], centres: NDArray[np.float64], n: int) -> None:
    if features.ndim != 2 or centres.ndim != 2 or features.shape[1] != centres.shape[1]:
        raise ValueError(
            f"features must be (N, D) and centres (M, D), got {features.shape} and {centres.shape}"
        )
    if not 0 <= n <= len(features):
        raise ValueError(f"cannot choose n={n} rows from {len(features)} candidates")
    for what, array in (("features", features), ("centres", centres)):
        finite_rows = np.isfinite(array).all(axis=1)
        if not finite_rows.all():
            raise ValueError(f"{what} must be finite; row {int(np.argmin(finite_rows))} is not")


def _approach(
    nearest_N: NDArray[np.float64], features: NDArray[np.float64], centre_D: NDArray[np.float64]
) -> None:
    """Lower squared distances to the nearest centre for one more centre, in place."""
    # (x - c)^2 and not x^2 - 2xc + c^2, which cancels: equal rows must have distance 0.
    block = max(1, _BLOCK_NUMBERS // max(1, features.shape[1]))
    for start in range(0, len(features), block):
        rows = slice(start, start + block)
        difference = features[rows] - centre_D
        squared = np.einsum("nd,nd->n", difference, difference)
        np.minimum(nearest_N[rows], squared, out=nearest_N[rows])


class Coreset:
    """Chooses the candidates that lie farthest from the labelled set and from one another."""

    name: ClassVar[str] = "coreset"
    family: ClassVar[base.Family] = base.Family.BATCH
    needs: ClassVar[frozenset[base.Need]] = frozenset({base.Need.FEATURES})
    Params: ClassVar[type[BaseModel]] = base.Params
    version: ClassVar[int] = 1

    def __init__(self, params: base.Params) -> None:
        self.params = params

    def select(
        self, candidates: base.Candidates, n: int, rng: np.random.Generator
    ) -> Sequence[ImageId]:
        """The n ids in order of choice; equally distant images in the order of their ids.

        Raises:
            ValueError: the candidates carry no features, or see `k_center`.
        """
        features_ND, centres_MD = candidates.features_ND, candidates.labelled_features_MD
        if features_ND is None or centres_MD is None:
            raise ValueError("coreset needs features of the candidates and of the labelled set")
        by_id = sorted(range(len(candidates.ids)), key=candidates.ids.__getitem__)
        rows = k_center(features_ND[by_id], centres_MD, n)
        return [candidates.ids[by_id[row]] for row in rows.tolist()]
