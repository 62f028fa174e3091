"""Finds the images whose outputs are not finite; while scoring, without waiting for the device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from alspec.datasets.base import ImageId

if TYPE_CHECKING:
    from mmseg.models import EncoderDecoder


class Watch:
    """What a module has put out since it was last asked."""

    def __init__(self) -> None:
        self._seen: list[Tensor] = []

    def see(self, _module: nn.Module, _inputs: object, output: object) -> None:
        """Note which images of an output, (N, ...), are finite."""
        if isinstance(output, Tensor):
            self._seen.append(output.isfinite().flatten(1).all(dim=1))

    def finite(self, images: int) -> Tensor:
        """Which of a batch's images had finite outputs in all passes since the last call.

        Args:
            images: B; an output of K B rows is K passes over the batch.

        Returns:
            (B,) booleans on the CPU or the device of the outputs.
        """
        sound = torch.ones(images, dtype=torch.bool)
        for seen in self._seen:
            whole = len(seen) % images == 0
            passes = seen.reshape(-1, images).all(dim=0) if whole else seen.all().expand(images)
            sound = sound.to(passes.device) & passes
        self._seen.clear()
        return sound


def not_finite(images: Sequence[ImageId], finite: Tensor) -> list[ImageId]:
    """The images that are not marked finite, in their order; waits for the device."""
    return [image for image, sound in zip(images, finite.tolist(), strict=True) if not sound]


@contextmanager
def watching(segmentor: EncoderDecoder) -> Iterator[Watch]:
    """Watch the logits of a segmentor's decode head, of a cascade's last."""
    head = segmentor.decode_head
    watch = Watch()
    handle = (head[-1] if isinstance(head, nn.ModuleList) else head).register_forward_hook(
        watch.see
    )
    try:
        yield watch
    finally:
        handle.remove()
