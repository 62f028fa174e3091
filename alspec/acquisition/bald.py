"""BALD: the mutual information between the prediction and the weights, over dropout passes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel, Field

from alspec.acquisition import base
from alspec.acquisition.entropy import finite_log, mean_entropy

if TYPE_CHECKING:
    from torch import Tensor


def mutual_information(log_p_KBCHW: Tensor) -> Tensor:
    """Mean over the pixels of H(mean_k p_k) - mean_k H(p_k).

    Args:
        log_p_KBCHW: log-probabilities of K dropout passes, (K, B, C, H, W), K >= 2; -inf stands
            for p = 0.

    Returns:
        Mutual information in nats, (B,), within [0, log min(C, K)], in float32 or better. NaN
        stays NaN.

    Raises:
        ValueError: K < 2; one pass carries no disagreement.
    """
    return _over_passes(log_p_KBCHW)


def _over_passes(log_p_passes: Iterable[Tensor]) -> Tensor:
    """The same of passes that come one by one; only their running sums are kept."""
    passes = 0
    for passes, log_p_BCHW in enumerate(log_p_passes, start=1):
        p_BCHW = finite_log(log_p_BCHW).exp()
        entropy_B = mean_entropy(log_p_BCHW)
        if passes == 1:
            p_sum_BCHW, entropy_sum_B = p_BCHW, entropy_B
        else:
            p_sum_BCHW += p_BCHW
            entropy_sum_B += entropy_B
    if passes < 2:
        raise ValueError(
            f"mutual information needs at least 2 dropout passes, got {passes}; raise `passes`"
        )
    entropy_of_mean_B = mean_entropy((p_sum_BCHW / passes).log())
    return (entropy_of_mean_B - entropy_sum_B / passes).clamp_min(0)


class BaldParams(base.PassesParams):
    """How many dropout passes are compared."""

    passes: int = Field(default=10, ge=2, description="dropout passes for each image")


class Bald:
    """Scores an image by the mutual information between its prediction and the weights."""

    name: ClassVar[str] = "bald"
    family: ClassVar[base.Family] = base.Family.SINGLE
    needs: ClassVar[frozenset[base.Need]] = frozenset({base.Need.PASSES})
    Params: ClassVar[type[BaseModel]] = BaldParams
    version: ClassVar[int] = 1

    def __init__(self, params: BaldParams) -> None:
        self.params = params

    def score(self, outputs: base.Outputs) -> Tensor:
        """Mutual information in nats, (B,); memory does not grow with the number of passes."""
        return _over_passes(outputs.log_p_passes)
