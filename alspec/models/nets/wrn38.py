"""WideResNet-38, variant A2: pre-activation, output stride 8 (the paper's backbone, section 4).

Module names follow the published ImageNet weights (`mod2.block1.convs.conv1.weight`), so that
they load key by key.
"""

from __future__ import annotations

from collections import OrderedDict

from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn

BLOCKS = (3, 3, 6, 3, 1, 1)
CHANNELS = ((128, 128), (256, 256), (512, 512), (512, 1024), (512, 1024, 2048), (1024, 2048, 4096))
STRIDES = (1, 1, 2, 1, 1, 1)
DILATIONS = (1, 1, 1, 2, 4, 4)
DROPOUTS = (0.0, 0.0, 0.0, 0.0, 0.3, 0.5)


def _norm_act(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(inplace=True))


class _PreActivationBlock(nn.Module):
    """Norm, activation, two 3x3 convolutions or a 1x1, 3x3, 1x1 bottleneck; plus a shortcut."""

    def __init__(
        self,
        in_channels: int,
        channels: tuple[int, ...],
        stride: int,
        dilation: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.bn1 = _norm_act(in_channels)

        def conv3x3(source: int, target: int, step: int) -> nn.Conv2d:
            return nn.Conv2d(
                source, target, 3, stride=step, padding=dilation, dilation=dilation, bias=False
            )

        layers: list[tuple[str, nn.Module]]
        if len(channels) == 2:
            layers = [
                ("conv1", conv3x3(in_channels, channels[0], stride)),
                ("bn2", _norm_act(channels[0])),
                ("conv2", conv3x3(channels[0], channels[1], 1)),
            ]
        else:
            layers = [
                ("conv1", nn.Conv2d(in_channels, channels[0], 1, stride=stride, bias=False)),
                ("bn2", _norm_act(channels[0])),
                ("conv2", conv3x3(channels[0], channels[1], 1)),
                ("bn3", _norm_act(channels[1])),
                ("conv3", nn.Conv2d(channels[1], channels[2], 1, bias=False)),
            ]
        if dropout:
            layers.insert(len(layers) - 1, ("dropout", nn.Dropout2d(dropout)))
        self.convs = nn.Sequential(OrderedDict(layers))
        if stride != 1 or in_channels != channels[-1]:
            self.proj_conv = nn.Conv2d(in_channels, channels[-1], 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) to (B, channels[-1], H / stride, W / stride)."""
        activated = self.bn1(x)
        shortcut: Tensor = self.proj_conv(activated) if hasattr(self, "proj_conv") else x
        residual: Tensor = self.convs(activated)
        return residual + shortcut


@MODELS.register_module(name="WideResNet38")
class WideResNet38(BaseModule):  # type: ignore[misc]
    """The backbone: 128 channels at stride 2 for the decoder, 4,096 at stride 8 for ASPP.

    Args:
        bn_out: norm and activation after the last block, as in the net that the ImageNet weights
            are of; without, ASPP is given the sum that the block ends in.
        init_cfg: MMEngine's.
    """

    def __init__(self, bn_out: bool = True, init_cfg: dict[str, object] | None = None) -> None:
        super().__init__(
            init_cfg
            or [
                {"type": "Kaiming", "layer": "Conv2d"},
                {"type": "Constant", "val": 1, "layer": "BatchNorm2d"},
            ]
        )
        self.mod1 = nn.Sequential(
            OrderedDict([("conv1", nn.Conv2d(3, 64, 3, padding=1, bias=False))])
        )
        self.pool2 = nn.MaxPool2d(3, stride=2, padding=1)
        self.pool3 = nn.MaxPool2d(3, stride=2, padding=1)
        in_channels = 64
        for stage, count in enumerate(BLOCKS):
            blocks = OrderedDict[str, nn.Module]()
            for block in range(count):
                blocks[f"block{block + 1}"] = _PreActivationBlock(
                    in_channels,
                    CHANNELS[stage],
                    STRIDES[stage] if block == 0 else 1,
                    DILATIONS[stage],
                    DROPOUTS[stage],
                )
                in_channels = CHANNELS[stage][-1]
            self.add_module(f"mod{stage + 2}", nn.Sequential(blocks))
        self.bn_out = _norm_act(in_channels) if bn_out else nn.Identity()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, H, W) to (B, 128, H / 2, W / 2) and (B, 4096, H / 8, W / 8)."""
        x = self.mod1(x)
        low_level = x = self.mod2(self.pool2(x))
        x = self.mod3(self.pool3(x))
        for stage in range(4, 8):
            x = getattr(self, f"mod{stage}")(x)
        return low_level, self.bn_out(x)
