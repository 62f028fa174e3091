"""Entropy: how uncertain the prediction is, averaged over the pixels of an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel

from alspec.acquisition import base
from alspec.acquisition.blocks import blocks_of, mean_over

if TYPE_CHECKING:
    from torch import Tensor

# exp() of it is 0 in any precision, so that p log p is 0 and not 0 x inf.
_LOG_ZERO = -1e4


def finite_log(log_p: Tensor) -> Tensor:
    """Log-probabilities in float32 or better, with a finite number for log 0."""
    wide = log_p.float() if log_p.dtype.itemsize < 4 else log_p
    return wide.clamp_min(_LOG_ZERO)


def mean_entropy(log_p_BCHW: Tensor) -> Tensor:
    """Mean over the pixels of H = -sum_c p log p (paper, section 3; Shannon, 1948).

    High where the model is uncertain. Not scaled per image, so that images compare.

    Args:
        log_p_BCHW: log-probabilities, (B, C, H, W), any float type; -inf means p = 0.

    Returns:
        Entropies in nats, (B,), within [0, log C], in float32 or better. NaN stays NaN.

    Raises:
        ValueError: not four dimensions.
    """
    if log_p_BCHW.ndim != 4:
        raise ValueError(f"log-probabilities are (B, C, H, W), got {tuple(log_p_BCHW.shape)}")
    log_p = finite_log(log_p_BCHW)
    return -log_p.exp().mul_(log_p).sum(dim=1).mean(dim=(1, 2))


class Entropy:
    """Scores an image by its mean entropy."""

    name: ClassVar[str] = "entropy"
    family: ClassVar[base.Family] = base.Family.SINGLE
    needs: ClassVar[frozenset[base.Need]] = frozenset({base.Need.PROBABILITIES})
    Params: ClassVar[type[BaseModel]] = base.Params
    version: ClassVar[int] = 1

    def __init__(self, params: base.Params) -> None:
        self.params = params

    def score(self, outputs: base.Outputs) -> Tensor:
        """Mean entropy in nats, (B,)."""
        return mean_over(blocks_of(outputs), lambda block: mean_entropy(block.log_p_BCHW))
