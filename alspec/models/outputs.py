"""What a trained segmentor says of images: logits, log-probabilities, views, passes, features.

B = images, C = classes, H, W = pixels of the image, D = feature channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from alspec.errors import InputError
from alspec.models.mc_dropout import sampling


def _decode(segmentor: Any, levels: Any) -> Tensor:
    """The decoder alone, a cascade of heads included: logits at the head's own resolution."""
    head = segmentor.decode_head
    first, *later = head if isinstance(head, nn.ModuleList) else [head]
    logits = first(levels)
    for stage in later:
        logits = stage(levels, logits)
    if not isinstance(logits, Tensor):
        raise InputError.at(
            "model",
            f"the decode head {type(head).__name__} returns {type(logits).__name__}, not one "
            "tensor of logits; choose a model with a plain decode head",
        )
    return logits


def upsampled(logits: Tensor, size: Any, align_corners: bool) -> Tensor:
    """Logits (B, C, h, w) as (B, C, H, W) in float32, bilinear, `size` being H and W."""
    return F.interpolate(
        logits.float(), size=tuple(size), mode="bilinear", align_corners=align_corners
    )


def logits_at(segmentor: Any, inputs: Tensor, size: Any) -> Tensor:
    """Logits (B, C, H, W) in float32 at `size`, whatever the head's own resolution."""
    levels = segmentor.extract_feat(inputs)
    return upsampled(_decode(segmentor, levels), size, segmentor.align_corners)


@dataclass
class BatchOutputs:
    """The outputs for one batch of preprocessed images; each is computed when first asked for.

    The encoder runs once, however many dropout passes follow.

    Attributes:
        segmentor: in eval mode.
        inputs: (B, 3, H, W), normalised.
        passes: number of dropout passes.
        generator_seed: seeds the dropout masks of this batch.
    """

    segmentor: Any
    inputs: Tensor
    passes: int = 0
    generator_seed: int = 0

    @property
    def _size(self) -> Any:
        return self.inputs.shape[-2:]

    @cached_property
    def _levels(self) -> Any:
        return self.segmentor.extract_feat(self.inputs)

    @cached_property
    def logits_BCHW(self) -> Tensor:
        """Logits at image size."""
        return upsampled(
            _decode(self.segmentor, self._levels), self._size, self.segmentor.align_corners
        )

    @cached_property
    def log_p_BCHW(self) -> Tensor:
        """Log-probabilities at image size."""
        return self.logits_BCHW.log_softmax(dim=1)

    @cached_property
    def log_p_mirror_BCHW(self) -> Tensor:
        """Log-probabilities of the mirror images, mirrored back."""
        mirrored = logits_at(self.segmentor, self.inputs.flip(-1), self._size)
        return mirrored.log_softmax(dim=1).flip(-1)

    @property
    def log_p_passes(self) -> Iterator[Tensor]:
        """One tensor (B, C, H, W) a dropout pass, decoded from the one encoding.

        Each pass has a seed of its own; between passes the global generator and the layers' modes
        are as they were, whatever the reader does and wherever it stops.
        """
        for number in range(self.passes):
            yield self._pass(number)

    def _pass(self, number: int) -> Tensor:
        levels = self._levels
        devices = [self.inputs.device] if self.inputs.is_cuda else []
        with torch.random.fork_rng(devices), sampling(self.segmentor):
            torch.manual_seed(self.generator_seed + number)
            logits = _decode(self.segmentor, levels)
        return upsampled(logits, self._size, self.segmentor.align_corners).log_softmax(dim=1)

    @cached_property
    def features_BD(self) -> Tensor:
        """Global average of the head's `bottleneck` (as ASPP's), or of the last encoder level."""
        head = self.segmentor.decode_head
        head = head[-1] if isinstance(head, nn.ModuleList) else head
        fused: list[Tensor] = []
        bottleneck = getattr(head, "bottleneck", None)
        if bottleneck is None:
            levels = self._levels
            last: Tensor = levels if isinstance(levels, Tensor) else levels[-1]
            return last.float().mean(dim=(2, 3))
        handle = bottleneck.register_forward_hook(lambda _m, _i, output: fused.append(output))
        try:
            _decode(self.segmentor, self._levels)
        finally:
            handle.remove()
        return fused[0].float().mean(dim=(2, 3))


def on_device(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on the device; the copy overlaps with compute where it can."""
    return tensor.to(device, non_blocking=True)


def outputs_of(
    segmentor: Any,
    images: Tensor,
    device: torch.device,
    *,
    passes: int = 0,
    generator_seed: int = 0,
) -> BatchOutputs:
    """The outputs for raw images.

    Args:
        segmentor: in eval mode, on the device.
        images: (B, 3, H, W) uint8 RGB.
        device: where to compute.
        passes: dropout passes, where they will be asked for.
        generator_seed: seeds the dropout masks.
    """
    pixels = {"inputs": list(on_device(images, device))}
    inputs = segmentor.data_preprocessor(pixels, False)["inputs"]
    if device.type == "cuda":
        inputs = inputs.contiguous(memory_format=torch.channels_last)
    return BatchOutputs(segmentor, inputs, passes, generator_seed)
