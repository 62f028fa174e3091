"""Coreset: exact greedy k-center against the plain form, blocked brute force and its own memory.

40,135 x 1,024 features in float32, as a model gives them, 1,000 labelled, 1,000 picks; in clusters
of 20 near copies, as frames of a video are, and without any structure.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from figure import Figure, in_fresh_process, seconds
from numpy.typing import NDArray

from alspec.acquisition.coreset import k_center

CANDIDATES, LABELLED, CHANNELS, PICKS = 40_135, 1_000, 1_024, 1_000
CLUSTER = 20
PLAIN_PICKS = 100
"""Picks of the plain form that are timed where it is not timed whole; all cost the same."""

Features = NDArray[np.float32]


def figures() -> Iterator[Figure]:
    """The five rows; every choice is checked against float64 brute force."""
    for what, made, whole in (("", _clustered(), True), ("-unclustered", _unclustered(), False)):
        features, centres = made
        plain, plain_note = _plain_seconds(features, centres, whole)
        started = time.perf_counter()
        blocked_rows = blocked(features, centres, PICKS)
        blocked_took = time.perf_counter() - started
        took = seconds(lambda f=features, c=centres: k_center(f, c, PICKS))  # type: ignore[misc]
        rows = k_center(features, centres, PICKS).tolist()
        assert rows == brute_force(features, centres, PICKS), "other picks than brute force"
        assert rows == blocked_rows, "blocked brute force is not exact"
        ours = f"{took:.2f} s on {torch.get_num_threads()} threads"
        yield Figure(f"coreset{what}", plain / took, 50, f"{ours} against {plain_note}")
        yield Figure(
            f"coreset-blocked{what}",
            blocked_took / took,
            10,
            f"{ours} against {blocked_took:.1f} s; the same picks as float64 brute force",
        )
    peak = in_fresh_process(_MEMORY, *map(str, (CANDIDATES, LABELLED, CHANNELS, PICKS)))
    size = CANDIDATES * CHANNELS * 4
    yield Figure(
        "coreset-memory",
        1.5 * size / peak["bytes"],
        1,
        f"{peak['bytes'] / size:.2f} times the features, which count too; 1.5 allowed",
    )


def _unclustered() -> tuple[Features, Features]:
    rng = np.random.default_rng(0)
    return _split(rng, rng.standard_normal((CANDIDATES + LABELLED, CHANNELS), dtype=np.float32))


def _clustered() -> tuple[Features, Features]:
    rng = np.random.default_rng(1)
    points = CANDIDATES + LABELLED
    middles = rng.standard_normal((-(-points // CLUSTER), CHANNELS), dtype=np.float32)
    noise = rng.standard_normal((points, CHANNELS), dtype=np.float32)
    return _split(rng, np.repeat(middles, CLUSTER, axis=0)[:points] + np.float32(0.1) * noise)


def _split(rng: np.random.Generator, points: Features) -> tuple[Features, Features]:
    """Candidates and a random labelled set, both in the order they were in."""
    labelled = np.zeros(len(points), dtype=bool)
    labelled[rng.choice(len(points), LABELLED, replace=False)] = True
    return points[~labelled], points[labelled]


def pairwise_distances(x: Features, y: Features) -> Features:
    """What scikit-learn does with float32: float64 in chunks of rows, 1,246 of them here.

    Each chunk is x^2 - 2xy + y^2 by one matrix product; without its checks of the input it takes
    about two thirds of the time of scikit-learn 1.9.
    """
    distances = np.empty((len(x), len(y)), dtype=np.float32)
    wide_y = y.astype(np.float64)
    for start in range(0, len(x), 1246):
        wide_x = x[start : start + 1246].astype(np.float64)
        squared = -2 * (wide_x @ wide_y.T)
        squared += _norms(wide_x)[:, None]
        squared += _norms(wide_y)
        distances[start : start + 1246] = squared
    return np.sqrt(np.maximum(distances, 0, out=distances), out=distances)


def plain(
    features: Features, centres: Features, n: int, ready: Callable[[], None] = lambda: None
) -> list[int]:
    """The plain form: the distances to each new centre, and a Python loop that keeps the least."""
    nearest = pairwise_distances(features, centres).min(axis=1)
    ready()
    chosen = []
    for _ in range(n):
        chosen.append(int(np.argmax(nearest)))
        distances = pairwise_distances(features, features[chosen[-1:]])[:, 0]
        for row in range(len(nearest)):
            nearest[row] = min(nearest[row], distances[row])
    return chosen


def _plain_seconds(features: Features, centres: Features, whole: bool) -> tuple[float, str]:
    """Seconds of the plain form, and how they were taken."""
    times = [time.perf_counter()]
    picks = PICKS if whole else PLAIN_PICKS
    plain(features, centres, picks, lambda: times.append(time.perf_counter()))
    times.append(time.perf_counter())
    first, rest = times[1] - times[0], times[2] - times[1]
    total = first + rest * PICKS / picks
    return total, f"{total:.1f} s" + ("" if whole else f", scaled from {picks} of the picks")


def blocked(features: Features, centres: Features, n: int) -> list[int]:
    """Brute force at its best: float32 products over all rows, ties within rounding in float64."""
    norms = np.einsum("nd,nd->n", features, features)
    margin = (
        (4 * CHANNELS + 64) * 2.0**-24 * 2 * max(float(norms.max()), float(_norms(centres).max()))
    )
    nearest = np.full(len(features), np.inf, dtype=np.float32)
    for start in range(0, len(features), 4096):
        part = slice(start, start + 4096)
        products = _norms(centres) - 2 * (features[part] @ centres.T)
        nearest[part] = products.min(axis=1) + norms[part]
    return _greedy(features, centres, n, nearest, norms, margin)


def brute_force(features: Features, centres: Features, n: int) -> list[int]:
    """The same in float64 throughout: products, and differences where they are within 1e-9."""
    wide, wide_centres = features.astype(np.float64), centres.astype(np.float64)
    norms = _norms(wide)
    nearest = np.full(len(wide), np.inf)
    for start in range(0, len(wide), 4096):
        part = slice(start, start + 4096)
        products = _norms(wide_centres) - 2 * (wide[part] @ wide_centres.T)
        nearest[part] = products.min(axis=1) + norms[part]
    return _greedy(wide, wide_centres, n, nearest, norms, 1e-9 * float(norms.max()))


def _greedy(features, centres, n, nearest, norms, margin):  # type: ignore[no-untyped-def]
    known = np.concatenate((centres, np.empty((n, CHANNELS), dtype=centres.dtype)))
    known_norms = _norms(known[: len(centres)])
    chosen: list[int] = []
    for _ in range(n):
        rows = np.flatnonzero(nearest >= nearest.max() - 2 * margin)
        row = int(rows[0])
        if len(rows) > 1:
            count = len(centres) + len(chosen)
            row = int(rows[_farthest(features[rows], known[:count], known_norms, margin)])
        known[len(centres) + len(chosen)] = features[row]
        known_norms = np.append(known_norms, norms[row])
        chosen.append(row)
        np.minimum(nearest, norms - 2 * (features @ features[row]) + norms[row], out=nearest)
        nearest[row] = -np.inf
    return chosen


def _farthest(rows, known, known_norms, margin):  # type: ignore[no-untyped-def]
    """Of a few rows the one farthest from its nearest centre, by float64 differences."""
    rough = known_norms - 2 * (rows @ known.T)
    exact = []
    for row, near in zip(rows, rough <= rough.min(axis=1, keepdims=True) + 2 * margin, strict=True):
        differences = known[near].astype(np.float64) - row.astype(np.float64)
        exact.append(np.square(differences).sum(axis=1).min())
    return int(np.argmax(exact))


def _norms(points):  # type: ignore[no-untyped-def]
    return np.einsum("nd,nd->n", points, points)


_MEMORY = """
import json, sys
import numpy as np
from alspec.acquisition.coreset import k_center
candidates, labelled, channels, picks = map(int, sys.argv[1:])
rng = np.random.default_rng(0)
small = rng.standard_normal((600, channels), dtype=np.float32)
k_center(small[20:], small[:20], 5)
before = peak_bytes()
features = rng.standard_normal((candidates, channels), dtype=np.float32)
centres = rng.standard_normal((labelled, channels), dtype=np.float32)
k_center(features, centres, picks)
print(json.dumps({"bytes": peak_bytes() - before}))
"""
