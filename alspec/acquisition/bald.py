"""BALD: the mutual information between the prediction and the weights, over dropout passes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel, Field

from alspec.acquisition import base
from alspec.acquisition.blocks import mean_over, passes_of, whole
from alspec.acquisition.entropy import finite_log, mean_entropy

if TYPE_CHECKING:
    from torch import Tensor


def mutual_information(log_p_KBCHW: Tensor) -> Tensor:
    """Mean over the pixels of H(mean_k p_k) - mean_k H(p_k) (paper, section 3).

    Houlsby et al., *Bayesian Active Learning for Classification and Preference Learning*, 2011,
    eq. (2), with dropout passes in place of the posterior (Gal et al., 2017).

    Args:
        log_p_KBCHW: log-probabilities of K dropout passes, (K, B, C, H, W), K >= 2; -inf means
            p = 0.

    Returns:
        Mutual information in nats, (B,), within [0, log min(C, K)], in float32 or better. NaN
        stays NaN.

    Raises:
        ValueError: K < 2; one pass carries no disagreement.
    """
    return _over_passes(whole(log_p_BCHW) for log_p_BCHW in log_p_KBCHW)


@dataclass
class _Sums:
    """Running sums over the passes, for one block of pixels."""

    images: slice
    pixel_fraction: float
    p_BCHW: Tensor
    entropy_B: Tensor


def _over_passes(block_passes: Iterable[Iterable[base.Block]]) -> Tensor:
    """The same of passes that come one by one, in equal blocks; only running sums stay."""
    sums: list[_Sums] = []
    passes = 0
    for passes, blocks in enumerate(block_passes, start=1):
        for number, block in enumerate(blocks):
            log_p_BCHW = finite_log(block.log_p_BCHW)
            p_BCHW, entropy_B = log_p_BCHW.exp(), mean_entropy(log_p_BCHW)
            if passes == 1:
                sums.append(_Sums(block.images, block.pixel_fraction, p_BCHW, entropy_B))
            else:
                sums[number].p_BCHW += p_BCHW
                sums[number].entropy_B += entropy_B
    if passes < 2:
        raise ValueError(
            f"mutual information needs at least 2 dropout passes, got {passes}; raise `passes`"
        )
    return mean_over(
        sums, lambda of: mean_entropy((of.p_BCHW / passes).log()) - of.entropy_B / passes
    ).clamp_min(0)


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
        return _over_passes(passes_of(outputs))
