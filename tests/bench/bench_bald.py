"""BALD: twenty dropout passes on WRN-38 at 256x512, against twenty whole forwards."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import figure
import scored_nets as nets
import torch
from figure import Figure, in_fresh_process
from torch import Tensor

from alspec.acquisition.bald import Bald, BaldParams
from alspec.models.nets.mc_dropout import decoder_dropouts

NAME, SIZE, PASSES = "deeplabv3plus_wrn38", (256, 512), 20

PEAK = """
import json, sys
import bench_bald
bench_bald.ours(bench_bald.nets.quick(bench_bald.NAME, mc_dropout=True), 2, int(sys.argv[1]))
print(json.dumps({"bytes": peak_bytes()}))
"""


@torch.inference_mode()
def plain(model: Any, inputs_1CHW: Tensor) -> Tensor:
    """Whole forwards with the decoder's dropout on, and running sums of what they say."""
    for layer in decoder_dropouts(model):
        layer.train()
    p_sum = entropy_sum = torch.zeros(())
    for _ in range(PASSES):
        p = nets.plain_probabilities(model, inputs_1CHW)
        p_sum = p_sum + p
        entropy_sum = entropy_sum - (p * (p + 1e-12).log()).sum(dim=1).mean(dim=(1, 2))
    p_mean = p_sum / PASSES
    return -(p_mean * (p_mean + 1e-12).log()).sum(dim=1).mean(dim=(1, 2)) - entropy_sum / PASSES


def ours(model: Any, images: int, passes: int = PASSES) -> Tensor:
    """As the step `acquire` scores a batch."""
    score = Bald(BaldParams(passes=passes)).score
    return nets.in_batches(model, nets.images(images, SIZE), score, images, passes=passes)


def figures() -> Iterator[Figure]:
    """Time for one image, and peak memory of many passes beside two."""
    fast = nets.quick(NAME, mc_dropout=True)
    mine = figure.seconds(lambda: ours(fast, 1), repeats=2)
    model, inputs = nets.net(NAME, mc_dropout=True), nets.normalised(nets.images(1, SIZE)[0])
    theirs = figure.seconds(lambda: plain(model, inputs), repeats=1)
    yield Figure(
        "bald",
        theirs / mine,
        8,
        f"{PASSES} passes, an image, 1 thread: {mine:.1f} s against {theirs:.1f} s",
    )
    two, many = (in_fresh_process(PEAK, str(n))["bytes"] for n in (2, PASSES))
    yield Figure(
        "bald-memory",
        1.1 * two / many,
        1,
        f"peak {many / 1e9:.2f} GB with {PASSES} passes, {two / 1e9:.2f} GB with 2",
    )
