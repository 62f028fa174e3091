"""Coreset: the images whose features the labelled set covers worst, by greedy k-center."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, overload

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from alspec.acquisition import base

if TYPE_CHECKING:
    from torch import Tensor

    from alspec.datasets.base import ImageId


@overload
def k_center(
    features_ND: NDArray[np.generic], centres_MD: NDArray[np.generic], n: int
) -> NDArray[np.int64]: ...
@overload
def k_center(features_ND: Tensor, centres_MD: Tensor, n: int) -> Tensor: ...
def k_center(
    features_ND: NDArray[np.generic] | Tensor, centres_MD: NDArray[np.generic] | Tensor, n: int
) -> NDArray[np.int64] | Tensor:
    """Farthest-first: n times the row with the largest Euclidean distance to its nearest centre.

    Greedy k-center (paper, section 3; Sener and Savarese, *Active Learning for Convolutional Neural
    Networks: A Core-Set Approach*, 2018, Algorithm 1).

    A chosen row becomes a centre. The choice is that of brute force with float64 differences,
    whatever the type of the features. Of equally distant rows the lowest is chosen; without any
    centre all rows are equally far, so row 0 comes first. A row that equals a centre has distance
    0 and comes last. Features stay on their device and are not copied whole.

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
    import torch

    from alspec.acquisition.farthest import farthest_first

    features, centres = as_tensor(features_ND), as_tensor(centres_MD)
    check_features(features, centres, n)
    with torch.no_grad():
        rows = farthest_first(features, centres, n)
    if isinstance(features_ND, np.ndarray):
        return rows
    return torch.from_numpy(rows).to(features_ND.device)


def as_tensor(array: NDArray[np.generic] | Tensor) -> Tensor:
    """The same memory as a tensor, where torch can read it."""
    import torch

    if isinstance(array, torch.Tensor):
        return array.detach() if array.is_floating_point() else array.detach().double()
    native = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
    if native.dtype.kind != "f" or native.dtype.itemsize > 8:
        native = native.astype(np.float64)
    with warnings.catch_warnings():
        # Nothing is written, so it may be an array that cannot be.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(native)


def check_features(features: Tensor, centres: Tensor, n: int) -> None:
    """Raise ValueError for features (N, D) and centres (M, D) that n rows cannot be chosen from."""
    if features.ndim != 2 or centres.ndim != 2 or features.shape[1] != centres.shape[1]:
        raise ValueError(
            f"features must be (N, D) and centres (M, D), got {tuple(features.shape)} and "
            f"{tuple(centres.shape)}"
        )
    if not 0 <= n <= len(features):
        raise ValueError(f"cannot choose n={n} rows from {len(features)} candidates")
    for what, array in (("features", features), ("centres", centres)):
        # Both bounds are NaN where anything is; unlike isfinite this takes no memory.
        if array.numel() and not all(bound.isfinite() for bound in array.aminmax()):
            row = array.isfinite().all(dim=1).int().argmin()
            raise ValueError(f"{what} must be finite; row {int(row)} is not")


class Coreset:
    """Chooses the candidates that lie farthest from the labelled set and from one another."""

    name: ClassVar[str] = "coreset"
    family: ClassVar[base.Family] = base.Family.BATCH
    needs: ClassVar[frozenset[base.Need]] = frozenset({base.Need.FEATURES})
    Params: ClassVar[type[BaseModel]] = base.FeaturesParams
    version: ClassVar[int] = 1

    def __init__(self, params: base.FeaturesParams) -> None:
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
        if by_id != list(range(len(by_id))):  # indexing copies the features
            features_ND = features_ND[by_id]
        rows = k_center(features_ND, centres_MD, n)
        return [candidates.ids[by_id[row]] for row in rows.tolist()]
