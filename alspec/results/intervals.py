"""What seeds let one say: t intervals, paired differences, and win, tie or loss by a margin.

Seeds are the unit: methods that start from the same initial set are paired by seed, and images or
classes are never counted as if they were repetitions.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

LEVEL = 0.95
"""Coverage of an interval; of all intervals of one family together where there are several."""

MARGIN = 0.5
"""Points of mIoU below which a difference makes no difference to anybody."""

LEAST_SEEDS = 3
"""Below it there is no interval: a t interval over two seeds is 25 spreads wide."""

MOST_SEEDS = 1000
"""Where the search for the number of seeds that would decide ends."""

MOST_FLIPPED = 20
"""Pairs whose 2^n signs are enumerated; with more, the interval says it all."""

BySeed = Mapping[int, float]


class Outcome(Enum):
    """Outcome of a method against another."""

    WIN = "win"
    LOSS = "loss"
    TIE = "tie"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over seeds with the interval that holds its expectation.

    Attributes:
        mean: NaN for no seed.
        low: its lower end; NaN for fewer than `LEAST_SEEDS` seeds.
        high: its upper end; NaN for fewer than `LEAST_SEEDS` seeds.
        seeds: number of values.
    """

    mean: float
    low: float
    high: float
    seeds: int

    @property
    def known(self) -> bool:
        """Whether there are seeds enough for its ends."""
        return not math.isnan(self.low)


@dataclass(frozen=True, slots=True)
class Difference:
    """One method minus another, paired by seed.

    Attributes:
        by_seed: the differences, of the seeds that both have.
        alone: the 95 % interval of this difference alone.
        together: the interval that holds together with the others of its family.
        outcome: by the margin and `together`.
        seeds_to_decide: seeds with which this mean and this spread would decide it; None where it
            is decided, where fewer than 2 seeds give no spread, and beyond `MOST_SEEDS`.
        p: of the exact sign-flip test, two-sided; None where its least p could not pass.
    """

    by_seed: BySeed
    alone: Interval
    together: Interval
    outcome: Outcome
    seeds_to_decide: int | None
    p: float | None

    @property
    def points(self) -> float:
        """The mean difference."""
        return self.alone.mean


def t_interval(values: Sequence[float], level: float = LEVEL) -> Interval:
    """Mean and Student's t interval over seeds.

    Args:
        values: one a seed, none NaN.
        level: coverage, within (0, 1).

    Returns:
        Without ends for fewer than `LEAST_SEEDS` values.

    >>> found = t_interval([60.0, 62.0, 64.0])
    >>> (found.mean, round(found.low, 2), round(found.high, 2))
    (62.0, 57.03, 66.97)
    """
    n = len(values)
    if not n:
        return Interval(math.nan, math.nan, math.nan, 0)
    mean = float(np.mean(values))
    if n < LEAST_SEEDS:
        return Interval(mean, math.nan, math.nan, n)
    half = _half_width(float(np.std(values, ddof=1)), n, level)
    return Interval(mean, mean - half, mean + half, n)


def difference(
    first: BySeed, second: BySeed, *, comparisons: int = 1, margin: float = MARGIN
) -> Difference:
    """First minus second over the seeds that both have, and what it decides.

    A win needs a mean of at least the margin and an interval above 0; a tie an interval inside the
    margin on both sides. The interval is widened by the number of comparisons (Bonferroni), so that
    without any difference a family of them has a false win or loss in at most 5 of 100 studies.

    Args:
        first: a measure by seed, none NaN.
        second: the same of another method.
        comparisons: differences that are looked at together, at least 1.
        margin: in the measure's unit, above 0.
    """
    common = sorted(set(first) & set(second))
    apart = {seed: first[seed] - second[seed] for seed in common}
    level = 1 - (1 - LEVEL) / comparisons
    together = t_interval(list(apart.values()), level)
    outcome = _outcome(together, margin)
    undecided = outcome is Outcome.UNDECIDED
    return Difference(
        by_seed=apart,
        alone=t_interval(list(apart.values())),
        together=together,
        outcome=outcome,
        seeds_to_decide=_seeds_to_decide(list(apart.values()), level, margin)
        if undecided
        else None,
        p=sign_flip_p(list(apart.values()), comparisons),
    )


def sign_flip_p(differences: Sequence[float], comparisons: int = 1) -> float | None:
    """The exact two-sided sign-flip (paired permutation) test of a mean difference of 0.

    Args:
        differences: one a seed.
        comparisons: tests that are looked at together; each must reach (1 - LEVEL) / comparisons.

    Returns:
        Share of the 2^n sign patterns whose mean is as far from 0, before any correction; None
        where even the least possible, 2 / 2^n, could not pass, and for more than `MOST_FLIPPED`.

    >>> sign_flip_p([1.0] * 5) is None
    True
    >>> sign_flip_p([1.0] * 6)
    0.03125
    """
    n = len(differences)
    if n > MOST_FLIPPED or not n or 2.0 / 2**n > (1 - LEVEL) / comparisons + 1e-12:
        return None
    sums = np.zeros(1)
    for value in differences:
        sums = np.concatenate([sums + value, sums - value])
    reached = abs(float(np.sum(differences)))
    return float(np.mean(np.abs(sums) >= reached - 1e-9 * max(1.0, reached)))


def _half_width(spread: float, n: int, level: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(n - 1, (1 + level) / 2)) * spread / math.sqrt(n)


def _outcome(interval: Interval, margin: float) -> Outcome:
    if not interval.known:
        return Outcome.UNDECIDED
    if interval.low > 0 and interval.mean >= margin:
        return Outcome.WIN
    if interval.high < 0 and interval.mean <= -margin:
        return Outcome.LOSS
    inside = -margin < interval.low and interval.high < margin
    return Outcome.TIE if inside else Outcome.UNDECIDED


def _seeds_to_decide(values: Sequence[float], level: float, margin: float) -> int | None:
    """The least number of seeds above these at which their mean and spread would decide."""
    if len(values) < 2:
        return None
    mean, spread = abs(float(np.mean(values))), float(np.std(values, ddof=1))
    wanted = mean if mean >= margin else margin - mean
    tried = range(max(LEAST_SEEDS, len(values) + 1), MOST_SEEDS + 1)
    found = bisect_left(tried, True, key=lambda n: _half_width(spread, n, level) < wanted)
    return tried[found] if found < len(tried) else None
