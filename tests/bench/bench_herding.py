"""Herding: exact greedy coverage in time and memory, against its float64 form pick by pick.

40,000 x 1,280 features in float32, as MobileNetV2's last level gives them of video: directions that
drift along 22 sequences, rectified; nothing labelled, 300 picks.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import torch
from figure import Figure, in_fresh_process
from numpy.typing import NDArray

from alspec.acquisition.herding import max_herding

CANDIDATES, CHANNELS, PICKS = 40_000, 1_280, 300
SECONDS = 60.0
"""Allowed on two cores."""
CHECKED = 3_000
"""Candidates of the smaller case that is compared with the definition."""


def figures() -> Iterator[Figure]:
    """Time, memory, and the plain form on a smaller pool."""
    yield _beside_the_definition()
    features = video(CANDIDATES, CHANNELS)
    started, spent = time.perf_counter(), time.process_time()
    max_herding(features, features[:0], PICKS)
    took, spent = time.perf_counter() - started, time.process_time() - spent
    threads = torch.get_num_threads()
    yield Figure(
        "herding",
        SECONDS / took,
        1,
        f"{took:.1f} s on {threads} threads, {spent:.0f} s of processor time; {SECONDS:.0f} s "
        f"allowed for {PICKS} picks of {CANDIDATES:,} x {CHANNELS:,}",
    )
    peak = in_fresh_process(_MEMORY, *map(str, (CANDIDATES, CHANNELS, 20)))
    size = CANDIDATES * CHANNELS * 4
    yield Figure(
        "herding-memory",
        2 * size / peak["bytes"],
        1,
        f"{peak['bytes'] / size:.2f} times the features, which count too; 2 allowed",
    )


def video(count: int, channels: int) -> NDArray[np.float32]:
    """Pooled, rectified features of frames that change slowly, in 22 sequences."""
    rng = np.random.default_rng(0)
    basis = rng.standard_normal((60, channels), dtype=np.float32) / 8
    features = np.empty((count, channels), dtype=np.float32)
    for sequence in np.array_split(np.arange(count), 22):
        place, off = rng.standard_normal((2, 60), dtype=np.float32)
        for row in sequence:
            place = 0.97 * place + 0.24 * rng.standard_normal(60, dtype=np.float32)
            noise = 0.05 * rng.standard_normal(channels, dtype=np.float32)
            features[row] = np.maximum((place + off) @ basis + 0.3 + noise, 0)
    return features


def _beside_the_definition() -> Figure:
    """The same picks as the definition's, which holds all pairs and looks at all of them."""
    features = video(CHECKED, CHANNELS)
    started = time.perf_counter()
    expected = by_definition(features, PICKS)
    plain = time.perf_counter() - started
    started = time.perf_counter()
    found = max_herding(features, features[:0], PICKS).tolist()
    took = time.perf_counter() - started
    assert found == expected, "other picks than the definition's"
    return Figure(
        "herding-small",
        plain / took,
        2,
        f"{took:.2f} s against {plain:.1f} s of the definition in float64, the same {PICKS} picks "
        f"of {CHECKED:,} x {CHANNELS:,}",
    )


def by_definition(features: NDArray[np.float32], n: int, bandwidth: float = 0.8) -> list[int]:
    """Greedy coverage with the whole kernel at hand, in float64."""
    wide = features.astype(np.float64)
    wide /= np.linalg.norm(wide, axis=1, keepdims=True)
    kernel = np.exp((2 * np.minimum(wide @ wide.T, 1) - 2) / bandwidth**2)
    covered, chosen = np.zeros(len(wide)), []
    for _ in range(n):
        gains = np.maximum(kernel - covered[:, None], 0).sum(axis=0)
        gains[chosen] = -1
        chosen.append(int(np.flatnonzero(gains >= gains.max() * (1 - 1e-9))[0]))
        covered = np.maximum(covered, kernel[:, chosen[-1]])
    return chosen


_MEMORY = """
import json, sys
import numpy as np
from bench_herding import video
from alspec.acquisition.herding import max_herding
candidates, channels, picks = map(int, sys.argv[1:])
small = video(600, channels)
max_herding(small, small[:0], 5)
before = peak_bytes()
features = video(candidates, channels)
max_herding(features, features[:0], picks)
print(json.dumps({"bytes": peak_bytes() - before}))
"""
