"""EqualAL: how much the predictions on an image and on its mirror image disagree."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import BaseModel, Field

from alspec.acquisition import base
from alspec.acquisition.blocks import blocks_of, mean_over
from alspec.acquisition.entropy import finite_log, mean_entropy

if TYPE_CHECKING:
    from torch import Tensor


def js_divergence(log_p_BCHW: Tensor, log_p_mirror_BCHW: Tensor) -> Tensor:
    """Mean over the pixels of the Jensen-Shannon divergence between two predictions.

    JS(p, q) = H((p + q) / 2) - (H(p) + H(q)) / 2: the disagreement of a prediction with itself
    under mirroring (paper, section 3; after Golestaneh and Kitani, *Importance of Self-Consistency
    in Active Learning for Semantic Segmentation*, 2020).

    Args:
        log_p_BCHW: log-probabilities of the images, (B, C, H, W); -inf means p = 0.
        log_p_mirror_BCHW: the same of the mirror images, already mirrored back.

    Returns:
        Divergences in nats, (B,), within [0, log 2], in float32 or better. NaN stays NaN.

    Raises:
        ValueError: the two shapes differ.
    """
    if log_p_BCHW.shape != log_p_mirror_BCHW.shape:
        raise ValueError(
            f"the two views must have one shape, got {tuple(log_p_BCHW.shape)} and "
            f"{tuple(log_p_mirror_BCHW.shape)}"
        )
    log_p, log_q = finite_log(log_p_BCHW), finite_log(log_p_mirror_BCHW)
    log_mean = _log_mean(log_p, log_q)
    twice = log_p.exp() * (log_p - log_mean) + log_q.exp() * (log_q - log_mean)
    return (twice.sum(dim=1).mean(dim=(1, 2)) / 2).clamp(0, math.log(2))


def _log_mean(log_p: Tensor, log_q: Tensor) -> Tensor:
    return log_p.logaddexp(log_q) - math.log(2)


class EqualParams(base.Params):
    """Disagreement of the two views."""

    variant: Literal["js", "entropy_sum", "mean_entropy"] = Field(
        default="js",
        description="js: Jensen-Shannon divergence of both views; entropy_sum: sum of their "
        "entropies; mean_entropy: entropy of their mean",
    )


class Equal:
    """Scores an image by the disagreement between its prediction and its mirror image's."""

    name: ClassVar[str] = "equal"
    family: ClassVar[base.Family] = base.Family.SINGLE
    needs: ClassVar[frozenset[base.Need]] = frozenset({base.Need.PROBABILITIES, base.Need.MIRROR})
    Params: ClassVar[type[BaseModel]] = EqualParams
    version: ClassVar[int] = 1

    def __init__(self, params: EqualParams) -> None:
        self.params = params

    def score(self, outputs: base.Outputs) -> Tensor:
        """The variant's mean over the pixels, in nats, (B,)."""
        return mean_over(blocks_of(outputs), self._of_pixels)

    def _of_pixels(self, block: base.Block) -> Tensor:
        log_p_BCHW, log_q_BCHW = block.log_p_BCHW, block.log_p_mirror_BCHW
        if self.params.variant == "js":
            return js_divergence(log_p_BCHW, log_q_BCHW)
        if self.params.variant == "entropy_sum":
            return mean_entropy(log_p_BCHW) + mean_entropy(log_q_BCHW)
        return mean_entropy(_log_mean(finite_log(log_p_BCHW), finite_log(log_q_BCHW)))
