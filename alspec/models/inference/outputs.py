"""What a trained segmentor says of images: logits, log-probabilities, views, passes, features.

B = images, C = classes, H, W = pixels of the image, h, w = the decode head's own resolution,
D = feature channels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from alspec.errors import InputError
from alspec.models.inference.decoding import last_head, shifted_to_threshold
from alspec.models.inference.row_blocks import Block, Rows, upsampled
from alspec.models.inference.sliding import Encoding, Reader
from alspec.models.nets.mc_dropout import sampling

if TYPE_CHECKING:
    from mmseg.models import EncoderDecoder


@dataclass
class BatchOutputs:
    """The outputs for one batch of preprocessed images; each is computed when first asked for.

    The encoder runs once, however many dropout passes follow; with `mirror`, once for both views.

    Attributes:
        segmentor: in eval mode.
        inputs: (B, 3, H, W), normalised.
        passes: number of dropout passes.
        generator_seed: seeds the dropout masks of this batch.
        mirror: the mirrored view will be asked for.
        bfloat16: the network computes in bfloat16 (autocast); what follows it never does.
    """

    segmentor: EncoderDecoder
    inputs: Tensor
    passes: int = 0
    generator_seed: int = 0
    mirror: bool = False
    bfloat16: bool = False

    @property
    def _size(self) -> torch.Size:
        return self.inputs.shape[-2:]

    def _precision(self) -> AbstractContextManager[object]:
        return torch.autocast(self.inputs.device.type, torch.bfloat16, enabled=self.bfloat16)

    @cached_property
    def _reader(self) -> Reader:
        return Reader(self.segmentor, self._size, self._precision)

    @cached_property
    def _encoding_of_views(self) -> Encoding:
        both = torch.cat([self.inputs, self.inputs.flip(-1)]) if self.mirror else self.inputs
        return self._reader.encoded(both)

    @cached_property
    def _encoding(self) -> Encoding:
        encoding = self._encoding_of_views
        return encoding.of_first(len(self.inputs)) if self.mirror else encoding

    @cached_property
    def _logits_of_views(self) -> Tensor:
        return self._reader.decoded(self._encoding_of_views)

    @cached_property
    def _logits(self) -> Tensor:
        """Logits (B, C, h, w)."""
        return self._logits_of_views[: len(self.inputs)]

    @cached_property
    def _mirror_logits(self) -> Tensor:
        """Logits (B, C, h, w) of the mirror images, mirrored back."""
        if self.mirror:
            return self._logits_of_views[len(self.inputs) :].flip(-1)
        return self._reader.decoded(self._reader.encoded(self.inputs.flip(-1))).flip(-1)

    def _upsampled(self, logits_BChw: Tensor) -> Tensor:
        return upsampled(logits_BChw, self._size, self.segmentor.align_corners)

    def _rows(self, logits_BChw: Tensor) -> Rows:
        return Rows(logits_BChw, self._size, self.segmentor.align_corners)

    @cached_property
    def logits_BCHW(self) -> Tensor:
        """Logits at image size."""
        return self._upsampled(self._logits)

    @property
    def logits_by_image(self) -> Iterator[Tensor]:
        """The same, (1, C, H, W), of one image after another; the largest is the prediction."""
        for logits in self._logits:
            yield shifted_to_threshold(self.segmentor, self._upsampled(logits[None]))

    @property
    def finite_B(self) -> Tensor:
        """Which images' logits are all finite."""
        return self._logits.isfinite().flatten(1).all(dim=1)

    @cached_property
    def log_p_BCHW(self) -> Tensor:
        """Log-probabilities at image size."""
        return self.logits_BCHW.log_softmax(dim=1)

    @cached_property
    def log_p_mirror_BCHW(self) -> Tensor:
        """Log-probabilities of the mirror images, mirrored back."""
        return self._upsampled(self._mirror_logits).log_softmax(dim=1)

    @cached_property
    def _mirror_rows(self) -> Rows:
        return self._rows(self._mirror_logits)

    @property
    def blocks(self) -> Iterator[Block]:
        """The same log-probabilities a few rows at a time; no class map is made whole."""
        return self._blocks(self._logits)

    def _blocks(self, logits_BChw: Tensor) -> Iterator[Block]:
        rows = self._rows(logits_BChw)
        for window in rows.windows():
            yield Block(window, rows, lambda: self._mirror_rows)

    @property
    def log_p_passes(self) -> Iterator[Tensor]:
        """One tensor (B, C, H, W) a dropout pass, decoded from the one encoding.

        Each pass has a seed of its own; between passes the global generator and the layers' modes
        are as they were, whatever the reader does and wherever it stops.
        """
        for logits in self._passes():
            yield self._upsampled(logits).log_softmax(dim=1)

    @property
    def block_passes(self) -> Iterator[Iterable[Block]]:
        """The same passes, each a few rows at a time: equal blocks in every pass."""
        for logits in self._passes():
            yield self._blocks(logits)

    def _passes(self) -> Iterator[Tensor]:
        """Logits (B, C, h, w); the decoder runs again only from its first dropout on."""
        encoding, prefixes = self._encoding, self._reader.prefixes(self._encoding)
        devices = [self.inputs.device] if self.inputs.is_cuda else []
        for number in range(self.passes):
            with torch.random.fork_rng(devices), sampling(self.segmentor):
                torch.manual_seed(self.generator_seed + number)
                logits = self._reader.decoded(encoding, prefixes)
            yield logits

    @cached_property
    def features_BD(self) -> Tensor:
        """Global average of the head's `bottleneck` (as ASPP's), or of the last encoder level.

        Where windows slide over the image, the average of theirs.
        """
        return self.features_in_cells(1)

    def features_in_cells(self, grid: int) -> Tensor:
        """The same, averaged in each of grid x grid cells, (B, D * grid * grid)."""
        parts = [self._features_of(part, grid) for part in self._encoding.in_parts()]
        return parts[0] if len(parts) == 1 else torch.stack(parts).mean(dim=0)

    def _features_of(self, part: Encoding, grid: int) -> Tensor:
        head = last_head(self.segmentor)
        bottleneck = getattr(head, "bottleneck", None)
        if bottleneck is None:
            (levels,) = part.levels
            last: Tensor = levels if isinstance(levels, Tensor) else levels[-1]
            return _pooled(last, grid)
        handle = bottleneck.register_forward_hook(_reached)
        try:
            self._reader.decoded(part)
        except _Reached as reached:
            return _pooled(reached.output, grid)
        finally:
            handle.remove()
        raise InputError.at(
            "model", f"the decode head {type(head).__name__} never calls its `bottleneck`"
        )

    @cached_property
    def gradients_BCD(self) -> Tensor:
        """Gradient of the mean cross-entropy by the last layer's weights, (B, C, D).

        Predicted classes serve as labels, at the decode head's own resolution. For a 1x1
        convolution that gradient is mean over pixels of (p - y) x^T with y one-hot (BADGE, Ash et
        al., ICLR 2020, Proposition 1).

        Raises:
            InputError: the decode head does not end in a 1x1 convolution `conv_seg`.
        """
        parts = [self._gradients_of(part) for part in self._encoding.in_parts()]
        return parts[0] if len(parts) == 1 else torch.stack(parts).mean(dim=0)

    def _gradients_of(self, part: Encoding) -> Tensor:
        head = last_head(self.segmentor)
        classifier = getattr(head, "conv_seg", None)
        if (
            classifier is None
            or getattr(classifier, "kernel_size", None) != (1, 1)
            or classifier.groups != 1
        ):
            raise InputError.at(
                "model",
                f"the decode head {type(head).__name__} does not end in a 1x1 convolution "
                "`conv_seg`, whose gradients the method needs; choose another model or method",
            )
        inputs: list[Tensor] = []
        handle = classifier.register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
        try:
            logits_BChw = self._reader.decoded(part)
        finally:
            handle.remove()
        residual_BChw = logits_BChw.softmax(dim=1)
        predicted_B1hw = residual_BChw.argmax(dim=1, keepdim=True)
        minus_one = residual_BChw.new_full((), -1.0).expand_as(predicted_B1hw)
        residual_BChw.scatter_add_(1, predicted_B1hw, minus_one)
        features_BPD = inputs[-1].float().flatten(2).mT
        return residual_BChw.flatten(2) @ features_BPD / features_BPD.shape[1]


def _pooled(maps_BDhw: Tensor, grid: int) -> Tensor:
    """Averages over each of grid x grid cells, (B, D * grid * grid)."""
    if grid == 1:
        return maps_BDhw.float().mean(dim=(2, 3))
    return F.adaptive_avg_pool2d(maps_BDhw.float(), grid).flatten(1)


class _Reached(Exception):
    """Not an error: nothing after this module is needed."""

    def __init__(self, output: Tensor) -> None:
        self.output = output


def _reached(_module: object, _inputs: object, output: Tensor) -> None:
    raise _Reached(output)


def on_device(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on the device; the copy to a GPU overlaps with what it computes."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def outputs_of(
    segmentor: EncoderDecoder,
    images: Tensor,
    device: torch.device,
    *,
    passes: int = 0,
    generator_seed: int = 0,
    mirror: bool = False,
    bfloat16: bool = False,
) -> BatchOutputs:
    """The outputs for raw images.

    Args:
        segmentor: in eval mode, on the device.
        images: (B, 3, H, W) uint8 RGB.
        device: where to compute.
        passes: dropout passes, where they will be asked for.
        generator_seed: seeds the dropout masks.
        mirror: compute the mirrored view together with the images.
        bfloat16: let the network compute in bfloat16.
    """
    pixels = {"inputs": list(on_device(images, device))}
    inputs = segmentor.data_preprocessor(pixels, False)["inputs"]
    if device.type == "cuda":
        inputs = inputs.contiguous(memory_format=torch.channels_last)
    return BatchOutputs(segmentor, inputs, passes, generator_seed, mirror, bfloat16)
