"""EqualAL: images scored a second, against a plain loop over the images with the same net.

At 256x512 in float32 the net's own forward pass of both views is the floor: see bench_entropy.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import scored_nets as nets
import torch
from figure import Figure
from torch import Tensor

from alspec.acquisition.equal import Equal, EqualParams
from alspec.steps.pool_outputs import BATCH


@torch.inference_mode()
def plain(model: Any, pool: Tensor) -> np.ndarray:
    """Image by image: two forwards, upsample, softmax, and the mean divergence on the host."""
    scores = []
    for image in pool:
        inputs = nets.normalised(image)
        p = nets.plain_probabilities(model, inputs)[0].numpy()
        q = nets.plain_probabilities(model, inputs.flip(-1)).flip(-1)[0].numpy()
        log_mean = np.log((p + q) / 2 + 1e-12)
        twice = p * (np.log(p + 1e-12) - log_mean) + q * (np.log(q + 1e-12) - log_mean)
        scores.append(twice.sum(axis=0).mean() / 2)
    return np.array(scores)


def compared(
    row: str, name: str, size: tuple[int, int], n: int, *, bfloat16: bool = False
) -> Figure:
    """Both ways over one pool."""
    pool, slow, fast = nets.images(n, size), nets.net(name), nets.quick(name)
    score = Equal(EqualParams()).score

    def ours() -> Tensor:
        return nets.in_batches(fast, pool, score, BATCH, mirror=True, bfloat16=bfloat16)

    scores, expected = ours().numpy(), plain(slow, pool)
    np.testing.assert_allclose(scores, expected, rtol=0.1 if bfloat16 else 1e-3)
    mine, theirs = nets.rates(n, ours, lambda: plain(slow, pool))
    return Figure(
        row,
        mine / theirs,
        2,
        f"{name.removeprefix('deeplabv3plus_')} {size[0]}x{size[1]}"
        f"{' in bfloat16' if bfloat16 else ''}, 1 thread: {mine:.3g} images/s against {theirs:.3g}",
    )


def figures() -> Iterator[Figure]:
    """The quickstart's net and size, then larger images."""
    yield compared("equal", "deeplabv3plus_tiny", (48, 96), 64)
    small, size = "deeplabv3plus_small", (256, 512)
    score = Equal(EqualParams()).score
    yield nets.share_of_forward("equal-small", small, size, 8, score=score, mirror=True)
    if nets.QUICK_IN_BFLOAT16:
        yield compared("equal-small-bfloat16", small, size, 8, bfloat16=True)
