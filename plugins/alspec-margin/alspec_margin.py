"""Margin sampling: label first the images whose two most probable classes are close.

Shapes in names: B = images of a batch, C = classes, H, W = pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from alspec.acquisition import base

if TYPE_CHECKING:
    from torch import Tensor


def mean_margin(log_p_BCHW: Tensor) -> Tensor:
    """Mean over the pixels of the gap between the two highest probabilities.

    Args:
        log_p_BCHW: log-probabilities, (B, C, H, W), C >= 2.

    Returns:
        Gaps, (B,), within [0, 1]; 1 for a model that is certain everywhere.

    Raises:
        ValueError: C < 2, a single class leaves no gap.
    """
    if log_p_BCHW.shape[1] < 2:
        raise ValueError("margin sampling needs at least 2 classes")
    highest = log_p_BCHW.float().topk(2, dim=1).values.exp()
    return (highest[:, 0] - highest[:, 1]).mean(dim=(1, 2))


class Margin:
    """Scores an image by its mean margin, the smallest first."""

    name: ClassVar[str] = "margin"
    family: ClassVar[base.Family] = base.Family.SINGLE
    needs: ClassVar[frozenset[base.Need]] = frozenset({base.Need.PROBABILITIES})
    Params: ClassVar[type[base.Params]] = base.Params
    version: ClassVar[int] = 1

    def __init__(self, params: base.Params) -> None:
        self.params = params

    def score(self, outputs: base.Outputs) -> Tensor:
        """Minus the mean margin, (B,), within [-1, 0]."""
        return -mean_margin(outputs.log_p_BCHW)
