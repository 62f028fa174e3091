"""One forward pass of a segmentor's decoder: logits, one channel a class, of any of its heads.

B = images, C = classes, H, W = pixels of the image, h, w = the decode head's own resolution.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from alspec.models.nets import compat  # isort: skip  (needed by the imports below)
import torch
from mmseg.models.decode_heads.cascade_decode_head import BaseCascadeDecodeHead
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import Tensor, nn

from alspec.errors import InputError
from alspec.models.inference.row_blocks import upsampled

if TYPE_CHECKING:
    from mmseg.models import EncoderDecoder


__all__ = [
    "compat",
    "decode",
    "last_head",
    "logits_at",
    "one_tensor",
    "shifted_to_threshold",
    "two_logits",
]

Levels: TypeAlias = Tensor | Sequence[Tensor]
"""What an encoder gives: maps at several scales, or one."""

_PLAIN = (BaseDecodeHead.predict, BaseCascadeDecodeHead.predict)
"""Ways to predict that are a forward pass and an upsampling, nothing else."""


def last_head(segmentor: EncoderDecoder) -> BaseDecodeHead:
    """The decode head that makes the prediction: the last one of a cascade."""
    head = segmentor.decode_head
    return head[-1] if isinstance(head, nn.ModuleList) else head


def decode(segmentor: EncoderDecoder, levels: Levels, size: Sequence[int]) -> Tensor:
    """The decoder alone, a cascade of heads included: logits (B, C, h, w).

    A head with a way of its own to predict (EncNet, DANet, PointRend) is asked in that way, as
    MMSegmentation asks it, for logits at `size`. A head of one logit, the second class's, gives
    two whose softmax is its sigmoid.

    Args:
        segmentor: an mmseg EncoderDecoder.
        levels: of its encoder.
        size: height and width of the input that they come from.

    Raises:
        InputError: the head gives something else than one tensor.
    """
    head = segmentor.decode_head
    stages: list[BaseDecodeHead] = list(head) if isinstance(head, nn.ModuleList) else [head]
    *earlier, last = stages
    before: tuple[Tensor, ...] = ()
    for stage in earlier:
        before = (stage(levels, *before),)
    if getattr(type(last), "predict", None) in (None, *_PLAIN):
        logits = last(levels, *before)
    else:
        images = len(levels if isinstance(levels, Tensor) else levels[0])
        logits = last.predict(levels, *before, _metas(images, size), segmentor.test_cfg)
    return two_logits(segmentor, one_tensor(logits, last))


def _metas(images: int, size: Sequence[int]) -> list[dict[str, object]]:
    shape = torch.Size(size)
    about = {"ori_shape": shape, "img_shape": shape, "pad_shape": shape, "padding_size": [0] * 4}
    return [dict(about) for _ in range(images)]


def one_tensor(logits: object, head: object) -> Tensor:
    """What a head returns.

    Raises:
        InputError: it is something else than one tensor.
    """
    if not isinstance(logits, Tensor):
        raise InputError.at(
            "model",
            f"the decode head {type(head).__name__} returns {type(logits).__name__}, not one "
            "tensor of logits; choose a model with a plain decode head",
        )
    return logits


def two_logits(segmentor: EncoderDecoder, logits: Tensor) -> Tensor:
    """Logits of a head of one logit, z, as (0, z): softmax gives its sigmoid and the rest."""
    if getattr(segmentor, "out_channels", None) != 1:
        return logits
    return torch.cat([torch.zeros_like(logits), logits], dim=1)


def shifted_to_threshold(segmentor: EncoderDecoder, logits_BCHW: Tensor) -> Tensor:
    """Logits whose largest is the class that MMSegmentation predicts.

    A head of one logit predicts its class where the sigmoid is above the head's `threshold`.
    """
    if getattr(segmentor, "out_channels", None) != 1:
        return logits_BCHW
    threshold = float(last_head(segmentor).threshold)
    shift = logits_BCHW.new_tensor([math.log(threshold) - math.log1p(-threshold), 0.0])
    return logits_BCHW + shift[:, None, None]


def logits_at(segmentor: EncoderDecoder, inputs: Tensor, size: Sequence[int]) -> Tensor:
    """Logits (B, C, H, W) in float32 at `size`, whatever the head's own resolution."""
    levels = segmentor.extract_feat(inputs)
    logits = decode(segmentor, levels, inputs.shape[-2:])
    return upsampled(logits, size, segmentor.align_corners)
