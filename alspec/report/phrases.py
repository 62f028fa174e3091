"""Words around numbers: fixed decimals, counts with their nouns, lists, intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence

from alspec.results.intervals import Interval, t_interval
from alspec.results.stats import mean_and_spread

UNKNOWN = "–"
"""In place of a missing number."""


def number(value: float, decimals: int = 2) -> str:
    """A number with fixed decimals; `UNKNOWN` for NaN."""
    return UNKNOWN if math.isnan(value) else f"{value:.{decimals}f}"


def signed(value: float, decimals: int = 2) -> str:
    """A difference with its sign; `UNKNOWN` for NaN, and no minus before a zero."""
    if math.isnan(value):
        return UNKNOWN
    shown = f"{value:+.{decimals}f}"
    return f"+{0:.{decimals}f}" if float(shown) == 0 else shown


def percent(value: float) -> str:
    """A percentage without needless zeros, at most two decimals: `30`, `7.5`, `2.49`."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def span(interval: Interval, decimals: int = 2, *, sign: bool = False) -> str:
    """The ends of an interval, `61.20 to 63.40`; `UNKNOWN` where there are too few seeds."""
    if not interval.known:
        return UNKNOWN
    shown = signed if sign else number
    return f"{shown(interval.low, decimals)} to {shown(interval.high, decimals)}"


def with_interval(values: Sequence[float], planned: int) -> str:
    """Mean and t interval over seeds, of 3 seeds and more; says how many if not all planned."""
    if not values:
        return UNKNOWN
    found = t_interval(values)
    shown = f"{number(found.mean)} ({span(found)})" if found.known else number(found.mean)
    return _of_planned(shown, len(values), planned)


def over_seeds(values: Sequence[float], planned: int) -> str:
    """Mean ± spread; says how many seeds of the planned ones it is over if not all."""
    if not values:
        return UNKNOWN
    mean, spread = mean_and_spread(values)
    shown = number(mean) if math.isnan(spread) else f"{number(mean)} ± {number(spread)}"
    return _of_planned(shown, len(values), planned)


def _of_planned(shown: str, seeds: int, planned: int) -> str:
    return shown if seeds == planned else f"{shown} ({seeds} of {planned} seeds)"


def counted(number_of: int, thing: str) -> str:
    """A count with its noun: `1 seed`, `2 seeds`, `1,000 images`."""
    return f"{number_of:,} {thing}" + ("" if number_of == 1 else "s")


def listed(items: Sequence[str], last: str = "and") -> str:
    """Items as prose: `a`, `a and b`, `a, b and c`."""
    return f" {last} ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def seeds_phrase(seeds: tuple[int, ...]) -> str:
    """The study's seeds as prose: `3 seeds (0, 1, 2)`."""
    return f"{counted(len(seeds), 'seed')} ({', '.join(str(seed) for seed in seeds)})"
