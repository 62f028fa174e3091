"""Entropy: images scored a second, against a plain loop over the images with the same net.

The quickstart's net at the quickstart's size is what runs on CPUs; there a batch saves most. At
256x512 in float32 the net's own forward pass is the floor: scoring is measured against it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import scored_nets as nets
import torch
from figure import Figure
from torch import Tensor

from alspec.acquisition.base import Params
from alspec.acquisition.entropy import Entropy
from alspec.steps.pool_outputs import BATCH


@torch.inference_mode()
def plain(model: Any, pool: Tensor) -> np.ndarray:
    """Image by image: forward, upsample, softmax, and the mean on the host."""
    scores = []
    for image in pool:
        p = nets.plain_probabilities(model, nets.normalised(image))[0].numpy()
        scores.append(-(p * np.log(p + 1e-12)).sum(axis=0).mean())
    return np.array(scores)


def compared(
    row: str, name: str, size: tuple[int, int], n: int, *, bfloat16: bool = False
) -> Figure:
    """Both ways over one pool."""
    pool, slow, fast = nets.images(n, size), nets.net(name), nets.quick(name)
    score = Entropy(Params()).score

    def ours() -> Tensor:
        return nets.in_batches(fast, pool, score, BATCH, bfloat16=bfloat16)

    scores, expected = ours().numpy(), plain(slow, pool)
    np.testing.assert_allclose(scores, expected, rtol=0.02 if bfloat16 else 1e-3)
    mine, theirs = nets.rates(n, ours, lambda: plain(slow, pool))
    work = nets.giga_macs(name, size)
    return Figure(
        row,
        mine / theirs,
        2,
        f"{name.removeprefix('deeplabv3plus_')} {size[0]}x{size[1]}"
        f"{' in bfloat16' if bfloat16 else ''}, 1 thread: {mine:.3g} images/s against "
        f"{theirs:.3g}; {work:.3g} GMAC an image, {work * mine / nets.matrix_peak():.0%} of the "
        "float32 matrix peak",
    )


def figures() -> Iterator[Figure]:
    """The quickstart's net and size, then larger images and nets."""
    yield compared("entropy", "deeplabv3plus_tiny", (48, 96), 64)
    small, size = "deeplabv3plus_small", (256, 512)
    score = Entropy(Params()).score
    yield nets.share_of_forward("entropy-small", small, size, 8, score=score)
    if nets.QUICK_IN_BFLOAT16:
        yield compared("entropy-small-bfloat16", small, size, 8, bfloat16=True)
    yield nets.share_of_forward("entropy-wrn38", "deeplabv3plus_wrn38", size, 1, score=score)
