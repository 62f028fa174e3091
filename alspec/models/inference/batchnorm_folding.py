"""Folds batch norm into the convolutions before it: the same predictions, with fewer passes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from mmcv.cnn import fuse_conv_bn
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from alspec.models.inference.decoding import logits_at

if TYPE_CHECKING:
    from mmseg.models import EncoderDecoder


SIDE = 64
"""Pixels of the square of noise that both forms are tried on."""
TOLERANCE = 1e-4
"""Largest difference of their logits, as a share of the largest logit."""


def folded(load: Callable[[], EncoderDecoder]) -> EncoderDecoder:
    """The segmentor that `load` gives, its batch norms folded where that changes no prediction.

    Folding goes by the order in which layers are registered, as in MMSegmentation's own tools. A
    network that calls them in another order would predict something else: so both forms are tried
    on noise, and where their logits differ by more than rounding, the segmentor stays as it is.

    Args:
        load: gives the same segmentor at every call, in eval mode, on the CPU, in float32.
    """
    segmentor = load()
    if not any(isinstance(module, _BatchNorm) for module in segmentor.modules()):
        return segmentor
    expected = _tried(segmentor)
    if expected is None:
        return segmentor
    logits = _tried(fuse_conv_bn(segmentor))
    if logits is None or not _close(logits, expected):
        return load()
    return segmentor


def _tried(segmentor: EncoderDecoder) -> Tensor | None:
    """Logits of a noise image; None where the network takes no image of this size."""
    noise = torch.randn((1, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(0))
    try:
        with torch.no_grad():
            return logits_at(segmentor, noise, (SIDE, SIDE))
    except Exception:  # noqa: BLE001  (any network; one that cannot be tried stays as it is)
        return None


def _close(logits: Tensor, expected: Tensor) -> bool:
    """False for numbers that are not finite too."""
    scale = expected.abs().max()
    return bool(scale.isfinite() and (logits - expected).abs().max() <= TOLERANCE * scale)
