"""Outputs and candidates of an invented model, for trying acquisition functions on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from alspec.acquisition.base import Candidates, Need
from alspec.datasets.base import ImageId

if TYPE_CHECKING:
    from torch import Tensor

IMAGES, CLASSES, HEIGHT, WIDTH = 5, 4, 6, 8
"""Of the outputs' one batch."""


class SyntheticOutputs:
    """The outputs of an invented model: random, certain and undecided images, only what is asked.

    Args:
        needs: what exists; reading anything else raises AttributeError.
        passes: dropout passes, K.
        images: which of the five images make up the batch.
    """

    def __init__(
        self, needs: frozenset[Need], passes: int = 3, images: slice = slice(None)
    ) -> None:
        rng = np.random.default_rng(0)
        shape = (passes + 2, IMAGES, CLASSES, HEIGHT, WIDTH)
        logits = rng.normal(scale=3.0, size=shape)
        logits[:, 1, 0] += 60.0
        logits[:, 2] = 0.0
        views = logits[:, images]
        self._log_p = views - np.logaddexp.reduce(views, axis=2, keepdims=True)
        self._needs = needs

    def _tensor(self, view: int, need: Need) -> Tensor:
        import torch

        if need not in self._needs:
            raise AttributeError(f"the outputs hold no {need.value}: declare it in `needs`")
        return torch.from_numpy(self._log_p[view].astype(np.float32))

    @property
    def log_p_BCHW(self) -> Tensor:
        """Log-probabilities of the images."""
        return self._tensor(0, Need.PROBABILITIES)

    @property
    def log_p_mirror_BCHW(self) -> Tensor:
        """Log-probabilities of the mirror images, mirrored back."""
        return self._tensor(1, Need.MIRROR)

    @property
    def log_p_passes(self) -> Iterator[Tensor]:
        """K tensors, made while iterating."""
        return (self._tensor(view, Need.PASSES) for view in range(2, len(self._log_p)))

    @property
    def features_BD(self) -> Tensor:
        """A feature vector an image."""
        return self._tensor(0, Need.FEATURES).mean(dim=(2, 3))

    def features_in_cells(self, grid: int) -> Tensor:
        """A feature vector a cell of an image."""
        from torch.nn.functional import adaptive_avg_pool2d

        return adaptive_avg_pool2d(self._tensor(0, Need.FEATURES), grid).flatten(1)

    @property
    def gradients_BCD(self) -> Tensor:
        """Gradients of the last layer, (B, C, D), of a layer that the log-probabilities feed."""
        log_p_BCHW = self._tensor(0, Need.GRADIENTS)
        p_BCHW = log_p_BCHW.exp()
        predicted = p_BCHW == p_BCHW.amax(dim=1, keepdim=True)
        residual_BCHW = p_BCHW - predicted / predicted.sum(dim=1, keepdim=True)
        return residual_BCHW.flatten(2) @ log_p_BCHW.flatten(2).mT / (HEIGHT * WIDTH)


def synthetic_candidates(
    needs: frozenset[Need],
    size: int = 12,
    reduce: Callable[[SyntheticOutputs], Tensor] | None = None,
    passes: int = 3,
) -> Candidates:
    """Candidates of two sequences, two of them with equal features, and a labelled set of three.

    Args:
        needs: what exists.
        size: candidates.
        reduce: a batch method's own, where it has one.
        passes: dropout passes that `reduce` is given.
    """
    import torch

    features: Tensor | None = None
    labelled: Tensor | None = None
    if Need.FEATURES in needs:
        rng = np.random.default_rng(1)
        features = torch.from_numpy(rng.normal(size=(size, 6)).astype(np.float32))
        labelled = torch.from_numpy(rng.normal(size=(3, 6)).astype(np.float32))
        features[-1] = features[0]
    reduced: Tensor | None = None
    if reduce is not None:
        batch = reduce(SyntheticOutputs(needs, passes))
        reduced = torch.cat([batch] * (-(-(size + 3) // IMAGES)))[: size + 3]
    first = size // 3
    return Candidates(
        ids=[ImageId(f"video/{row:04d}.png") for row in range(size)],
        sequences=["first" if row < first else "second" for row in range(size)],
        positions=[row + 1 if row < first else row - first for row in range(size)],
        labelled_ids=[ImageId(f"video/label{row}.png") for row in range(3)],
        labelled_sequences=["first", "second", "second"],
        labelled_positions=[0, size - first, size - first + 1],
        features_ND=features,
        labelled_features_MD=labelled,
        reduced_N=None if reduced is None else reduced[:size],
        labelled_reduced_M=None if reduced is None else reduced[size:],
    )
