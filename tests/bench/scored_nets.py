"""What the benchmarks of scoring share: nets with random weights, images, and the plain forward."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

from alspec.models.nets import compat  # isort: skip  (needed by the imports below)
import torch
from figure import Figure, seconds
from torch import Tensor
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from alspec.models.inference.batchnorm_folding import folded
from alspec.models.inference.outputs import BatchOutputs, outputs_of
from alspec.models.nets.build import build_segmentor
from alspec.models.nets.config import model_config
from alspec.run.preflight.precision import computes_in_bfloat16
from alspec.steps.pool_outputs import BATCH

QUICK_IN_BFLOAT16 = computes_in_bfloat16() is True
"""Elsewhere bfloat16 is slower than float32, and nobody's default: it has no row there."""
CLASSES = 19
TURNS = 5
SPENT = time.process_time
"""Processor time of one thread: the wall clock's, less what other processes take."""
CPU = torch.device("cpu")
MEAN = torch.tensor([123.675, 116.28, 103.53]).view(3, 1, 1)
STD = torch.tensor([58.395, 57.12, 57.375]).view(3, 1, 1)
assert compat
warnings.simplefilter("ignore")
torch.set_num_threads(1)  # as in a worker


def net(name: str, *, mc_dropout: bool = False) -> Any:
    """A built-in net in eval mode, with random weights that tell classes apart."""
    torch.manual_seed(0)
    made: Any = build_segmentor(model_config(name, CLASSES), mc_dropout=mc_dropout).eval()
    weight = made.decode_head.conv_seg.weight
    with torch.no_grad():
        torch.nn.init.normal_(weight)
        weight *= 2 / made(torch.randn((1, 3, 64, 64)), mode="tensor").std()
    return made


def quick(name: str, *, mc_dropout: bool = False) -> Any:
    """The same net as the step `acquire` uses it."""
    made = folded(lambda: net(name, mc_dropout=mc_dropout))
    return made.to(memory_format=torch.channels_last)


def images(n: int, size: tuple[int, int]) -> Tensor:
    """(n, 3, H, W) uint8."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (n, 3, *size), dtype=torch.uint8, generator=generator)


def plain_probabilities(model: Any, inputs_1CHW: Tensor) -> Tensor:
    """Forward, upsample, softmax: what one writes for one image."""
    logits = model(inputs_1CHW, mode="tensor")
    size = inputs_1CHW.shape[2:]
    return F.interpolate(logits, size=size, mode="bilinear", align_corners=False).softmax(dim=1)


def normalised(image: Tensor) -> Tensor:
    """(1, 3, H, W)."""
    return ((image.float() - MEAN) / STD)[None]


@torch.inference_mode()
def in_batches(
    model: Any, pool: Tensor, score: Callable[[BatchOutputs], Tensor], batch: int, **asked: Any
) -> Tensor:
    """Scores of a pool as the step `acquire` computes them."""
    parts = [score(outputs_of(model, chunk, CPU, **asked)) for chunk in pool.split(batch)]
    return torch.cat(parts)


@torch.inference_mode()
def forward_alone(model: Any, pool: Tensor, batch: int, *, mirror: bool = False) -> Tensor:
    """The net's own forward pass over a pool, of both views with `mirror`: logits, no score."""
    parts = []
    for chunk in pool.split(batch):
        inputs = (chunk.float() - MEAN) / STD
        views = torch.cat([inputs, inputs.flip(-1)]) if mirror else inputs
        parts.append(model(views.contiguous(memory_format=torch.channels_last), mode="tensor"))
    return torch.cat(parts)


def share_of_forward(row: str, name: str, size: tuple[int, int], n: int, **asked: Any) -> Figure:
    """What scoring takes beside the forward pass of the same net, which no score can do without.

    Args:
        row: of the table.
        name: the net's.
        size: height, width.
        n: images.
        asked: `score`, and `mirror` where the score reads it.
    """
    pool, fast = images(n, size), quick(name)
    score, mirror = asked["score"], asked.get("mirror", False)
    batch = min(n, BATCH)

    def ours() -> Tensor:
        return in_batches(fast, pool, score, batch, mirror=mirror)

    mine, forward = rates(n, ours, lambda: forward_alone(fast, pool, batch, mirror=mirror), SPENT)
    work = giga_macs(name, size) * (2 if mirror else 1)
    return Figure(
        row,
        mine / forward,
        round(1 / 1.1, 3),
        f"{name.removeprefix('deeplabv3plus_')} {size[0]}x{size[1]}, 1 thread: {mine:.3g} images a "
        f"processor second scored against {forward:.3g} of the forward pass alone; {work:.3g} GMAC "
        f"an image, {work * mine / matrix_peak():.0%} of the float32 matrix peak",
    )


def rates(
    n: int,
    ours: Callable[[], object],
    plain: Callable[[], object],
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[float, float]:
    """Images a second of both ways over n images; they take turns, the quickest turn counts."""
    turns = [(seconds(ours, 1, clock), seconds(plain, 1, clock)) for _ in range(TURNS)]
    return n / min(mine for mine, _ in turns), n / min(theirs for _, theirs in turns)


@torch.inference_mode()
def giga_macs(name: str, size: tuple[int, int]) -> float:
    """Multiplications of one forward, counted."""
    model = net(name)
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros((1, 3, *size)), mode="tensor")
    return float(counter.get_total_flops()) / 2e9


def matrix_peak() -> float:
    """Giga multiplications a second of a large float32 matrix product, measured here."""
    side = 2048
    matrix = torch.rand((side, side))
    return float(side**3 / 1e9 / seconds(lambda: matrix @ matrix, clock=SPENT))
