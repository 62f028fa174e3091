"""The kernel of herding, exp(-||z_x - z_u||^2 / h^2) of directions z, a tile at a time.

No matrix of all rows by all rows is made, and no copy of the features. N = rows, D = feature
channels, M = other rows, U = rows as columns of the kernel, X = rows as its rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

TILE = 1024
"""Rows and columns of the kernel that are held at a time, so that they stay in the cache."""

GPU_TILE = 8192
"""The same on a GPU, which wants larger products."""

ROUNDOFFS = 4
"""Unit roundoffs that a product of two directions is wrong by at most; a quarter is seen."""


class DirectionKernel:
    """The kernel of the rows of features, computed in one precision.

    Attributes:
        error: how wrong a value may be, as a share of it; also sums of values.
    """

    def __init__(self, features_ND: Tensor, bandwidth: float, dtype: torch.dtype) -> None:
        self.features_ND, self.dtype = features_ND, dtype
        self._scale = 1 / bandwidth**2
        lengths_N = _lengths(features_ND)
        self._inverse_N = torch.where(lengths_N > 0, 1 / lengths_N, 0).to(dtype)
        self._squared_N = self._scale * (lengths_N > 0).to(dtype)  # zeros have no direction
        self.error = (2 * self._scale + 2) * ROUNDOFFS * torch.finfo(dtype).eps / 2
        self._tile = GPU_TILE if features_ND.is_cuda else TILE

    def pairs(self) -> Iterator[tuple[slice, slice, Tensor]]:
        """All pairs once: some rows, some rows not before them, and their kernel (X, U)."""
        tiles = self._tiles(len(self.features_ND))
        for number, columns in enumerate(tiles):
            unit_UD = self._units(columns)
            for rows in tiles[: number + 1]:
                yield rows, columns, self._values(rows, unit_UD, self._squared_N[columns])

    def of_sample(self, step: int) -> Tensor:
        """The kernel of every step-th row with all rows, (S, N)."""
        sample = slice(0, None, step)
        unit_SD, squared_S = self._units(sample), self._squared_N[sample]
        kernel_SN = unit_SD.new_empty((len(unit_SD), len(self.features_ND)))
        for rows in self._tiles(len(self.features_ND)):
            kernel_SN[:, rows] = self._values(rows, unit_SD, squared_S).T
        return kernel_SN

    def column(self, row: int, rows_X: Tensor) -> Tensor:
        """The kernel of one row with some rows, in float64."""
        unit_1D, squared_1 = self._units(slice(row, row + 1)), self._squared_N[row : row + 1]
        kernel_X = torch.empty(len(rows_X), dtype=torch.float64, device=rows_X.device)
        # Filled, not joined: small results that outlive large ones keep their memory in pieces.
        for part in self._tiles(len(rows_X)):
            kernel_X[part] = self._values(rows_X[part], unit_1D, squared_1)[:, 0]
        return kernel_X

    def nearest(self, others_MD: Tensor) -> Tensor:
        """The largest kernel of each row with rows of other features, 0 without any; float64."""
        count = len(self.features_ND)
        best_N = torch.zeros(count, dtype=torch.float64, device=self.features_ND.device)
        if not len(others_MD):
            return best_N
        others = DirectionKernel(others_MD, self._scale**-0.5, self.dtype)
        for columns in self._tiles(len(others_MD)):
            unit_UD, squared_U = others._units(columns), others._squared_N[columns]
            for rows in self._tiles(count):
                values_X = self._values(rows, unit_UD, squared_U).amax(dim=1).double()
                best_N[rows] = torch.maximum(best_N[rows], values_X)
        return best_N

    def reaches(
        self, rows_U: NDArray[np.int64], covered_N: Tensor
    ) -> list[tuple[NDArray[np.int32], NDArray[np.floating[Any]]]]:
        """Of each of some rows, the rows that it may cover better, and its kernel with them.

        Rounding is allowed for: of a row that is not among them, the exact kernel is no larger than
        its coverage.
        """
        unit_UD, squared_U = self._columns(rows_U)
        found: list[list[tuple[NDArray[np.int32], NDArray[np.floating[Any]]]]]
        found = [[] for _ in rows_U]
        for rows in self._tiles(len(covered_N)):
            values_XU = self._values(rows, unit_UD, squared_U)
            least_X1 = (covered_N[rows, None] / (1 + 2 * self.error)).to(self.dtype)
            of_U, at_X = (values_XU >= least_X1).T.nonzero(as_tuple=True)
            at = (at_X + rows.start).int().cpu().numpy()  # 64 bits would be most of the memory
            values = values_XU[at_X, of_U].cpu().numpy()
            ends = torch.bincount(of_U, minlength=len(rows_U)).cumsum(0).tolist()
            for parts, start, end in zip(found, [0, *ends], ends, strict=False):
                if end > start:
                    parts.append((at[start:end], values[start:end]))
        return [_joined(parts, self.dtype) for parts in found]

    def gains(
        self,
        rows_U: NDArray[np.int64],
        covered_N: Tensor,
        weights_N: Tensor,
        among_X: Tensor | None = None,
    ) -> NDArray[np.float64]:
        """Weighted sums of what the kernel lies above the coverage of all rows, or some, (U,)."""
        unit_UD, squared_U = self._columns(rows_U)
        total_U = torch.zeros(len(rows_U), dtype=torch.float64, device=unit_UD.device)
        for rows in self._parts(among_X):
            values_XU = self._values(rows, unit_UD, squared_U)
            values_XU.sub_(covered_N[rows].to(self.dtype)[:, None]).clamp_min_(0)
            total_U += weights_N[rows].to(self.dtype) @ values_XU
        return _on_host(total_U)

    def _values(self, rows: Tensor | slice, unit_UD: Tensor, squared_U: Tensor) -> Tensor:
        """The kernel of rows with unit vectors, (X, U)."""
        products_XU = self.features_ND[rows].to(self.dtype) @ unit_UD.T
        products_XU.mul_((2 * self._scale * self._inverse_N[rows])[:, None])
        products_XU.sub_(squared_U).sub_(self._squared_N[rows, None])
        return products_XU.clamp_max_(0).exp_()

    def _units(self, rows: Tensor | slice) -> Tensor:
        return self.features_ND[rows].to(self.dtype) * self._inverse_N[rows, None]

    def _columns(self, rows_U: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        at = torch.from_numpy(rows_U).to(self.features_ND.device)
        return self._units(at), self._squared_N[at]

    def _tiles(self, count: int) -> list[slice]:
        starts = range(0, count, self._tile)
        return [slice(start, min(start + self._tile, count)) for start in starts]

    def _parts(self, rows_X: Tensor | None) -> list[Tensor] | list[slice]:
        if rows_X is None:
            return self._tiles(len(self.features_ND))
        return [rows_X[part] for part in self._tiles(len(rows_X))]


def _joined(
    parts: list[tuple[NDArray[np.int32], NDArray[np.floating[Any]]]], dtype: torch.dtype
) -> tuple[NDArray[np.int32], NDArray[np.floating[Any]]]:
    """Rows and values from tiles; the parts are let go."""
    if not parts:
        return np.empty(0, np.int32), torch.empty(0, dtype=dtype).numpy()
    joined = np.concatenate([at for at, _ in parts]), np.concatenate([v for _, v in parts])
    parts.clear()
    return joined


def _lengths(features_ND: Tensor) -> Tensor:
    """The lengths of rows in float64, (N,); `vector_norm` would make all rows float64 at once."""
    if features_ND.dtype == torch.float64:
        wide_N: Tensor = torch.linalg.vector_norm(features_ND, dim=1)
        return wide_N
    lengths_N = torch.empty(len(features_ND), dtype=torch.float64, device=features_ND.device)
    wide_RD = features_ND.new_empty((TILE, features_ND.shape[1]), dtype=torch.float64)
    for start in range(0, len(features_ND), TILE):
        rows_RD = features_ND[start : start + TILE]
        wide = wide_RD[: len(rows_RD)].copy_(rows_RD)
        lengths_N[start : start + TILE] = torch.linalg.vector_norm(wide, dim=1)
    return lengths_N


def _on_host(sums_U: Tensor) -> NDArray[np.float64]:
    host: NDArray[np.float64] = sums_U.cpu().numpy()
    return host
