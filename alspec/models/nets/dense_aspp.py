"""DeepLabv3+'s decoder with dense convolutions, as the paper's figures were made with.

MMSegmentation's own head has separable ones, and a norm and an activation after every convolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from alspec.models.nets import compat  # isort: skip  (needed by the imports below)
import torch
from mmcv.cnn import ConvModule
from mmseg.models.decode_heads.aspp_head import ASPPHead
from mmseg.models.utils import resize
from mmseg.registry import MODELS
from torch import Tensor, nn

__all__ = ["DenseASPPHead", "compat"]


@MODELS.register_module()
class DenseASPPHead(ASPPHead):  # type: ignore[misc]
    """Dense atrous pyramid; 1x1 convolutions alone bring its output and the low level together.

    Chen et al., *Encoder-Decoder with Atrous Separable Convolution for Semantic Image
    Segmentation*, 2018, before its section 3.1 makes convolutions separable.

    Args:
        c1_in_channels: of the low level, the first of the backbone's outputs.
        c1_channels: that the low level is reduced to.
        more: as ASPPHead takes it.
    """

    def __init__(self, c1_in_channels: int, c1_channels: int, **more: Any) -> None:
        super().__init__(**more)
        branches = len(self.dilations) + 1
        self.bottleneck = _linear(branches * self.channels, self.channels)
        self.c1_bottleneck = _linear(c1_in_channels, c1_channels)
        self.fusion = nn.Sequential(
            self._conv3x3(self.channels + c1_channels), self._conv3x3(self.channels)
        )

    def _conv3x3(self, in_channels: int) -> ConvModule:
        return ConvModule(
            in_channels,
            self.channels,
            3,
            padding=1,
            conv_cfg=self.conv_cfg,
            norm_cfg=self.norm_cfg,
            act_cfg=self.act_cfg,
        )

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Logits (B, C, h, w) at the low level's resolution."""
        low_level = self.c1_bottleneck(inputs[0])
        pyramid = resize(
            self._forward_feature(inputs),
            size=low_level.shape[2:],
            mode="bilinear",
            align_corners=self.align_corners,
        )
        logits: Tensor = self.cls_seg(self.fusion(torch.cat([low_level, pyramid], dim=1)))
        return logits


def _linear(in_channels: int, channels: int) -> ConvModule:
    """A 1x1 convolution with nothing after it."""
    return ConvModule(in_channels, channels, 1, bias=False, norm_cfg=None, act_cfg=None)
