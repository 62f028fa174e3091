"""MMSegmentation's cross-entropy and accuracy: the same numbers, without waiting for the device.

B = images, C = classes, H, W = pixels.
"""

from __future__ import annotations

from functools import partial

from alspec.models.nets import compat  # isort: skip  (needed by the imports below)
import torch
from mmseg.models.decode_heads import decode_head
from mmseg.models.losses import CrossEntropyLoss
from mmseg.models.losses.cross_entropy_loss import cross_entropy
from torch import Tensor, nn
from torch.nn import functional as F

from alspec.models.ranks import ALONE, Ranks

__all__ = ["average_over", "compat", "count_on_device", "mean_cross_entropy", "pixel_accuracy"]

_EPS = torch.finfo(torch.float32).eps
"""What MMSegmentation adds to a number of pixels before it divides by it."""


def count_on_device(segmentor: nn.Module) -> None:
    """Have a segmentor's losses count pixels on the device; MMSegmentation reads counts from it."""
    decode_head.accuracy = pixel_accuracy
    for loss in segmentor.modules():
        if isinstance(loss, CrossEntropyLoss) and loss.cls_criterion is cross_entropy:
            loss.cls_criterion = _cross_entropy


def average_over(segmentor: nn.Module, ranks: Ranks) -> None:
    """Have cross-entropies be means over the pixels of all processes, whoever has how many."""
    for loss in segmentor.modules():
        if isinstance(loss, CrossEntropyLoss) and loss.cls_criterion is _cross_entropy:
            loss.cls_criterion = partial(_cross_entropy, ranks=ranks)


def mean_cross_entropy(
    logits: Tensor, labels: Tensor, ignore_index: int, ranks: Ranks = ALONE
) -> Tensor:
    """Mean over the pixels that are not ignored; zero where all are.

    Args:
        logits: (B, C, H, W).
        labels: (B, H, W).
        ignore_index: the label that does not count.
        ranks: processes that have a part of the batch each; the mean over them is that of the
            whole batch.
    """
    losses = F.cross_entropy(logits, labels, reduction="none", ignore_index=ignore_index)
    counted = ranks.total((labels != ignore_index).sum())
    return losses.sum() * ranks.count / (counted + _EPS)


def pixel_accuracy(logits: Tensor, labels: Tensor, ignore_index: int) -> Tensor:
    """Share of the pixels not ignored whose class is right, (1,), in percent.

    Args:
        logits: (B, C, H, W).
        labels: (B, H, W).
        ignore_index: the label that does not count.
    """
    right = logits.argmax(dim=1) == labels
    counted = labels != ignore_index
    hundredth = 100 / (counted.sum(dtype=torch.float64) + _EPS)
    return ((right & counted).sum().float() + _EPS).mul(hundredth.float()).view(1)


def _cross_entropy(
    logits: Tensor,
    labels: Tensor,
    weight: Tensor | None,
    *,
    class_weight: Tensor | None,
    reduction: str,
    avg_factor: Tensor | float | None,
    avg_non_ignore: bool,
    ignore_index: int,
    ranks: Ranks = ALONE,
) -> Tensor:
    """As `CrossEntropyLoss` calls it; what is weighted or not averaged over pixels is theirs."""
    weights = (weight, class_weight, avg_factor)
    if reduction == "mean" and avg_non_ignore and all(given is None for given in weights):
        return mean_cross_entropy(logits, labels, ignore_index, ranks)
    if class_weight is not None and avg_factor is None and reduction == "mean":
        # MMSegmentation looks an ignored label's weight up, and fails; it has none.
        ignored = labels == ignore_index
        weights_of_pixels = class_weight[labels.masked_fill(ignored, 0)].masked_fill(ignored, 0)
        avg_factor = ranks.total(weights_of_pixels.sum()) / ranks.count
    theirs: Tensor = cross_entropy(
        logits,
        labels,
        weight,
        class_weight=class_weight,
        reduction=reduction,
        avg_factor=avg_factor,
        avg_non_ignore=avg_non_ignore,
        ignore_index=ignore_index,
    )
    return theirs
