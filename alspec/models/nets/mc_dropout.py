"""MC-dropout for any EncoderDecoder: three dropout layers in the decoder, on while sampling."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mmcv.cnn import ConvModule, DepthwiseSeparableConvModule
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from alspec.errors import InputError

if TYPE_CHECKING:
    from mmseg.models import EncoderDecoder
    from mmseg.models.decode_heads.decode_head import BaseDecodeHead


LAYERS = 3
"""Dropout layers in the decoder of the MC-dropout arm (paper, section 4)."""
RATE = 0.1


def _head(model: EncoderDecoder) -> BaseDecodeHead:
    """The decode head whose classifier makes the prediction: the last one of a cascade."""
    head = model.decode_head
    return head[-1] if isinstance(head, nn.ModuleList) else head


def _conv_blocks(head: nn.Module) -> list[tuple[str, nn.Module]]:
    """The head's convolution blocks in order of registration, outermost ones only."""
    found: list[tuple[str, nn.Module]] = []

    def walk(module: nn.Module, prefix: str) -> None:
        for name, child in module.named_children():
            path = f"{prefix}{name}"
            if isinstance(child, (ConvModule, DepthwiseSeparableConvModule)):
                found.append((path, child))
            else:
                walk(child, f"{path}.")

    walk(head, "")
    return found


def add_decoder_dropout(model: EncoderDecoder, rate: float = RATE) -> None:
    """Put three `Dropout2d` into a segmentor's decoder.

    Two are between its blocks, one before the classifier. The first follows the block that
    fuses the scales (`bottleneck`, as in ASPP heads) or else the third block from the end, the
    second the block before the last. Parameter names stay as they were, so that checkpoints load
    with and without the layers.

    Args:
        model: an mmseg EncoderDecoder; changed in place. Dropout already in its head is replaced.
        rate: share of channels set to zero.

    Raises:
        InputError: the head has too few convolution blocks to take three layers.
    """
    head = _head(model)
    blocks = _conv_blocks(head)
    paths = [path for path, _ in blocks]
    blocks_before = []
    if len(blocks) >= LAYERS:
        fusion = "bottleneck" if "bottleneck" in paths[:-2] else paths[-3]
        blocks_before = [dict(blocks)[fusion], blocks[-2][1]]
    if not hasattr(head, "conv_seg"):
        raise InputError.at(
            "model",
            f"the decode head {type(head).__name__} has no classifier `conv_seg` to put dropout "
            "before; BALD needs a head with one (DeepLabv3+, for one)",
        )
    if len(blocks_before) != LAYERS - 1:
        raise InputError.at(
            "model",
            f"the decode head {type(head).__name__} has {len(blocks)} convolution blocks and takes "
            f"no {LAYERS} dropout layers; BALD needs a head with at least {LAYERS} "
            "(DeepLabv3+, for one)",
        )
    for index, block in enumerate(blocks_before, start=1):
        layer = nn.Dropout2d(rate)
        head.add_module(f"mc_dropout{index}", layer)
        block.register_forward_hook(_dropping(layer))
    head.dropout = nn.Dropout2d(rate)
    head.dropout_ratio = rate


def _dropping(layer: nn.Module) -> Callable[[nn.Module, object, Tensor], Tensor]:
    def hook(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        dropped: Tensor = layer(output)
        return dropped

    return hook


def decoder_dropouts(model: EncoderDecoder) -> list[nn.Module]:
    """The dropout layers of the decoder, of whatever dimension."""
    return [module for module in _head(model).modules() if isinstance(module, _DropoutNd)]


@contextmanager
def sampling(model: EncoderDecoder) -> Iterator[None]:
    """Everything in eval mode but the decoder's dropout layers; as before when the block ends.

    Batch norm stays on its running statistics, which sampling must not move. The encoder's own
    dropout stays off: it is run once an image, and the passes differ in the decoder alone.
    """
    modes = {module: module.training for module in model.modules()}
    model.eval()
    for layer in decoder_dropouts(model):
        layer.train()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
