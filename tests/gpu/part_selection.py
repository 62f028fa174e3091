"""Part 3: Coreset and herding on the card against two threads, with the picks of float64."""

from __future__ import annotations

import argparse
import importlib
import inspect
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import product
import torch
from part_notes import Notes, run_part
from torch import Tensor

CLUSTER = 20
THREADS = 2
CELLS = 1 << 28
"""Numbers in a block of differences of the brute force."""
HERDING = ("max_herding", "herding", "herd")
"""Names that the pure core of herding may have."""


@dataclass(frozen=True)
class Size:
    """How much is chosen from how much."""

    candidates: int
    labelled: int
    channels: int
    picks: int


PAPER = Size(40_135, 1_000, 1_024, 1_000)
TOY = Size(400, 20, 16, 12)


def part(notes: Notes, options: argparse.Namespace) -> None:
    """Both methods, on features in clusters (as video gives them) and without structure."""
    size = TOY if options.rehearse else PAPER
    device = torch.device("cpu" if options.rehearse else "cuda:0")
    torch.set_num_threads(THREADS)
    for name, cluster in (("clustered", CLUSTER), ("unclustered", 1)):
        with notes.attempt(f"coreset-{name}", needs=0 if options.rehearse else 8) as timely:
            if timely:
                coreset(notes, f"coreset-{name}", made(size, cluster), size.picks, device)
    with notes.attempt("herding", needs=0 if options.rehearse else 8) as timely:
        if timely:
            herding(notes, made(size, CLUSTER), 1 + size.picks // 4, device)


def made(size: Size, cluster: int) -> tuple[Tensor, Tensor]:
    """Candidates and a random labelled set, float32, as a model gives them."""
    rng = np.random.default_rng(1)
    points = size.candidates + size.labelled
    middles = rng.standard_normal((-(-points // cluster), size.channels), dtype=np.float32)
    rows = np.repeat(middles, cluster, axis=0)[:points]
    if cluster > 1:
        noise = rng.standard_normal((points, size.channels), dtype=np.float32)
        rows += np.float32(0.1) * noise
    labelled = np.zeros(points, dtype=bool)
    labelled[rng.choice(points, size.labelled, replace=False)] = True
    return torch.from_numpy(rows[~labelled]), torch.from_numpy(rows[labelled])


def timed(work: Callable[[], Any], device: torch.device) -> tuple[Any, float]:
    """What it gives and the seconds it took."""
    started = time.perf_counter()
    result = work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return result, time.perf_counter() - started


def coreset(
    notes: Notes, name: str, points: tuple[Tensor, Tensor], n: int, device: torch.device
) -> None:
    """Seconds on both, whether the picks agree, and the brute force they must agree with."""
    features, centres = points
    there = features.to(device), centres.to(device)
    product.k_center(*there, 5)  # handles and kernels are loaded once
    picks, seconds = timed(lambda: product.k_center(*there, n), device)
    _, again = timed(lambda: product.k_center(*there, n), device)
    notes.say(name, device_seconds=min(seconds, again))
    here, cpu_seconds = timed(lambda: product.k_center(features, centres, n), torch.device("cpu"))
    notes.say(name, cpu_seconds=cpu_seconds, threads=torch.get_num_threads())
    notes.say(name, ratio=cpu_seconds / min(seconds, again))
    expected, brute = timed(lambda: brute_force(*there, n), device)
    notes.say(
        name,
        same_as_cpu=picks.tolist() == here.tolist(),
        same_as_float64=picks.tolist() == expected,
        float64_device_seconds=brute,
    )


def brute_force(features_ND: Tensor, centres_MD: Tensor, n: int) -> list[int]:
    """Greedy k-center from float64 differences, a block of rows at a time."""
    wide = features_ND.double()
    nearest = torch.full((len(wide),), torch.inf, dtype=torch.float64, device=wide.device)
    for centre in centres_MD.double():
        nearest = torch.minimum(nearest, squared_distances(wide, centre))
    chosen = []
    for _ in range(n):
        row = int(nearest.argmax())
        if len(chosen) and float(nearest.max()) < 0:
            break
        chosen.append(row)
        nearest = torch.minimum(nearest, squared_distances(wide, wide[row]))
        nearest[row] = -1
    return chosen


def squared_distances(wide_ND: Tensor, centre_D: Tensor) -> Tensor:
    """(N,) in float64."""
    rows = max(1, CELLS // wide_ND.shape[1])
    return torch.cat([(part - centre_D).square().sum(dim=1) for part in wide_ND.split(rows)])


def herding(notes: Notes, points: tuple[Tensor, Tensor], n: int, device: torch.device) -> None:
    """MaxHerding, where the product has it, with unit weights and bandwidth 0.8."""
    try:
        module = importlib.import_module("alspec.acquisition.herding")
    except ImportError as err:
        notes.say("herding", skipped=f"the product has none: {err}")
        return
    found = [getattr(module, name) for name in HERDING if hasattr(module, name)]
    if not found:
        notes.say("herding", skipped=f"no known core in {sorted(vars(module))}"[:300])
        return
    function = found[0]
    signature = inspect.signature(function)
    notes.say("herding", core=f"{function.__name__}{signature}")
    features, centres = (normalised(one) for one in points)
    there = features.to(device), centres.to(device)
    picks, seconds = timed(lambda: function(*there, n), device)
    here, cpu_seconds = timed(lambda: function(features, centres, n), torch.device("cpu"))
    notes.say(
        "herding",
        picks=n,
        device_seconds=seconds,
        cpu_seconds=cpu_seconds,
        ratio=cpu_seconds / seconds,
        same_as_cpu=[int(row) for row in picks] == [int(row) for row in here],
    )


def normalised(rows_ND: Tensor) -> Tensor:
    """Rows of length one."""
    return torch.nn.functional.normalize(rows_ND, dim=1)


if __name__ == "__main__":
    run_part(part)
