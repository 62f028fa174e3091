"""Pieces of markdown: user text made harmless, numbers in fixed form, tables, lists."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from alspec.results.stats import mean_and_spread

UNKNOWN = "–"
"""Stands where a number is not there."""

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_SPECIAL = re.compile(r"[\\`*\[\]|~$#!]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


def text(value: object) -> str:
    r"""User text as inline markdown that shows just itself, also in a table cell.

    >>> print(text("sky|<b>`x`</b>"))
    sky\|&lt;b&gt;\`x\`&lt;/b&gt;
    """
    one_line = _INVISIBLE.sub(" ", str(value)).strip()
    escaped = _SPECIAL.sub(lambda found: "\\" + found[0], one_line)
    return re.sub("[&<>]", lambda found: _ENTITIES[found[0]], escaped)


def code(value: object) -> str:
    """User text as an inline code span, on one line, outside of tables."""
    one_line = _INVISIBLE.sub(" ", str(value))
    fence = "`"
    while fence in one_line:
        fence += "`"
    pad = " " if one_line.startswith("`") or one_line.endswith("`") else ""
    return f"{fence}{pad}{one_line}{pad}{fence}"


def number(value: float, decimals: int = 2) -> str:
    """A number with fixed decimals; `UNKNOWN` for NaN."""
    return UNKNOWN if math.isnan(value) else f"{value:.{decimals}f}"


def percent(value: float) -> str:
    """A percentage without needless zeros, at most two decimals: `30`, `7.5`, `2.49`."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def over_seeds(values: Sequence[float], planned: int) -> str:
    """Mean ± spread; says how many seeds of the planned ones it is over if not all."""
    if not values:
        return UNKNOWN
    mean, spread = mean_and_spread(values)
    shown = number(mean) if math.isnan(spread) else f"{number(mean)} ± {number(spread)}"
    return shown if len(values) == planned else f"{shown} ({len(values)} of {planned} seeds)"


def counted(number_of: int, thing: str) -> str:
    """A count with its noun: `1 seed`, `2 seeds`, `1,000 images`."""
    return f"{number_of:,} {thing}" + ("" if number_of == 1 else "s")


def listed(items: Sequence[str], last: str = "and") -> str:
    """Items as prose: `a`, `a and b`, `a, b and c`."""
    return f" {last} ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def table(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """A markdown table of finished cells; columns after the first `left` are right-aligned."""
    aligned = [":--" if column < left else "--:" for column in range(len(header))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, aligned, *rows))
