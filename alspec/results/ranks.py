"""Methods over many settings: who wins how often, and mean ranks over datasets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alspec.results.intervals import LEVEL, Outcome, difference
from alspec.results.standings import Comparison

LEAST_DATASETS = 5
"""Fewer blocks than this give the Friedman test no power worth a rank."""

Key = tuple[str, bool]
"""A method and its SSL arm."""


@dataclass(frozen=True)
class WinMatrix:
    """Settings in which the row's method wins against the column's.

    Attributes:
        names: K methods, as `entropy-SSL`.
        wins: (K, K), wins[i][j] settings in which i wins against j, by margin and interval.
        settings: (K, K), settings in which both have seeds enough to be compared.
    """

    names: tuple[str, ...]
    wins: tuple[tuple[int, ...], ...]
    settings: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Ranks:
    """Mean ranks over datasets, 1 the best.

    Attributes:
        mean: by method's name, the best first.
        datasets: number of them.
        critical: ranks farther apart than this differ (Nemenyi, 5 %).
        p: of the Friedman test that all methods are alike.
    """

    mean: Mapping[str, float]
    datasets: int
    critical: float
    p: float


def win_matrix(compared: Sequence[Comparison]) -> WinMatrix | None:
    """Wins at the headline budget over settings of one architecture; None for fewer than two."""
    usable = [c for c in compared if not c.at_initial_set and any(e.miou for e in c.methods)]
    if len(usable) < 2:
        return None
    names = {e.key: e.name for c in usable for e in c.methods if e.miou}
    keys = list(names)
    wins = {(a, b): 0 for a in keys for b in keys}
    met = dict(wins)
    for comparison in usable:
        entries = [e for e in comparison.methods if e.miou]
        for one in entries:
            for other in entries:
                if one.key == other.key:
                    continue
                found = difference(one.miou, other.miou, comparisons=len(entries) - 1)
                met[one.key, other.key] += found.together.known
                wins[one.key, other.key] += found.outcome is Outcome.WIN
    return WinMatrix(
        names=tuple(names.values()),
        wins=tuple(tuple(wins[a, b] for b in keys) for a in keys),
        settings=tuple(tuple(met[a, b] for b in keys) for a in keys),
    )


def mean_ranks(compared: Sequence[Comparison]) -> Ranks | None:
    """Mean ranks of the methods that all datasets have, by mIoU at the headline budget.

    Datasets are the unit: the settings of one dataset are averaged first (Demšar, 2006).

    Returns:
        None for fewer than `LEAST_DATASETS` datasets or fewer than two methods.
    """
    found: dict[str, dict[str, list[float]]] = {}
    for comparison in compared:
        if comparison.at_initial_set:
            continue
        for entry in comparison.methods:
            if entry.miou:
                here = found.setdefault(comparison.setting.dataset, {})
                here.setdefault(entry.name, []).append(float(np.mean(list(entry.miou.values()))))
    if len(found) < LEAST_DATASETS:
        return None
    common = [n for n in next(iter(found.values())) if all(n in each for each in found.values())]
    if len(common) < 2:
        return None
    table = np.array([[np.mean(each[name]) for name in common] for each in found.values()])
    ranks = np.array([_ranks(-row) for row in table])
    return _friedman(common, ranks)


def _friedman(names: Sequence[str], ranks: NDArray[np.float64]) -> Ranks:
    from scipy.special import chdtrc

    n, k = ranks.shape
    mean = ranks.mean(axis=0)
    ties = sum(
        float(np.sum(counts**3 - counts))
        for counts in (np.unique(row, return_counts=True)[1] for row in ranks)
    )
    correction = 1 - ties / (n * k * (k * k - 1))
    statistic = 12 * n / (k * (k + 1)) * (float(np.sum(mean**2)) - k * (k + 1) ** 2 / 4)
    statistic = statistic / correction if correction > 0 else 0.0
    order = np.argsort(mean, kind="stable")
    return Ranks(
        mean={names[place]: float(mean[place]) for place in order},
        datasets=n,
        critical=_nemenyi(k) * math.sqrt(k * (k + 1) / (6 * n)),
        p=float(chdtrc(k - 1, statistic)),
    )


def _nemenyi(methods: int) -> float:
    """The 5 % quantile of the range of independent normals, divided by the root of 2.

    As in Demšar (2006), table 5; scipy.stats has it too, and takes a second to import.
    """
    from scipy.special import ndtr

    z = np.linspace(-8.0, 8.0, 2001)
    density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    low, high = 0.0, 16.0
    for _ in range(50):
        middle = (low + high) / 2
        inside = density * (ndtr(z) - ndtr(z - middle)) ** (methods - 1)
        within = methods * float(np.sum(inside)) * float(z[1] - z[0])
        low, high = (middle, high) if within < LEVEL else (low, middle)
    return low / math.sqrt(2)


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1, equal values sharing their mean rank."""
    below = (values[None, :] < values[:, None]).sum(axis=1)
    equal = (values[None, :] == values[:, None]).sum(axis=1)
    return np.asarray(below + (equal + 1) / 2)
