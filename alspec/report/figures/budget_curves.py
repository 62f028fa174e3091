"""Budget curves: mIoU over labelled images, every seed a dot, the mean a line with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from math import ceil
from typing import TYPE_CHECKING

from alspec.report.figures.style import (
    GREY,
    GRID,
    STYLE,
    Drawn,
    drawn,
    legend_below,
    look,
    painted,
    short,
)
from alspec.report.phrases import percent
from alspec.results.intervals import t_interval
from alspec.results.standings import Comparison, Entry
from alspec.results.stats import mean_and_spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

MOST_TICKS = 5
"""Budgets whose numbers fit side by side."""

MOST_CURVES = 6
"""With more the SSL arms have a figure each."""


def arms_of(comparison: Comparison) -> list[tuple[str, tuple[Entry, ...]]]:
    """The figures of a comparison: a suffix of the name, and the methods that are drawn."""
    arms = sorted({entry.ssl for entry in comparison.methods})
    if len(comparison.methods) <= MOST_CURVES or len(arms) < 2:
        return [("", comparison.methods)]
    return [
        ("_ssl" if ssl else "_no-ssl", tuple(e for e in comparison.methods if e.ssl is ssl))
        for ssl in arms
    ]


def draw_curves(comparison: Comparison, entries: Sequence[Entry]) -> Drawn:
    """The budget curves of some methods of a comparison, on the scale of all of them."""
    return drawn(_height(entries), lambda figure: _paint(figure, comparison, entries))


def curves_figure(comparison: Comparison) -> Figure:
    """The budget curves of all methods of a comparison, for a notebook."""
    from matplotlib import style

    entries = comparison.methods
    with style.context(["default", dict(STYLE)]):
        return painted(_height(entries), lambda figure: _paint(figure, comparison, entries))


def _height(entries: Sequence[Entry]) -> float:
    return 2.9 + 0.19 * ceil((len({e.method for e in entries}) + 2) / 3)


def _paint(figure: Figure, comparison: Comparison, entries: Sequence[Entry]) -> None:
    names = _in_order_of_colour(comparison)
    axes = figure.subplots()
    _frame(axes, comparison)
    for full in comparison.full:
        if full.miou:
            _level(axes, full)
    band = 0.1 if len(entries) <= MOST_CURVES else 0.05
    for entry in entries:
        if entry.curve:
            _curve(axes, entry, comparison, names.index(entry.method), band)
    if not any(entry.curve for entry in comparison.methods):
        axes.set_ylim(0, 100)
        axes.text(0.5, 0.15, "nothing finished yet", transform=axes.transAxes, ha="center")
    legend_below(figure, _handles(comparison, entries, names))


def _in_order_of_colour(comparison: Comparison) -> list[str]:
    """Random first, which gives it black, then the others as in the spec."""
    by_reference = sorted(comparison.methods, key=lambda e: not e.reference)
    return list(dict.fromkeys(e.method for e in by_reference))


def _frame(axes: Axes, comparison: Comparison) -> None:
    images = comparison.setting.labelled_images
    last_first = slice(None, None, -ceil(len(images) / MOST_TICKS))
    labels = [
        f"{count:,}\n{percent(share)} %"
        for count, share in zip(images, comparison.budget_percent, strict=True)
    ]
    axes.set_xticks(images[last_first], labels[last_first])
    axes.set_xlabel("labelled images")
    axes.set_ylabel("mIoU (%)")
    axes.grid(axis="y", color=GRID, linewidth=0.6)
    gap = max(1, min((b - a for a, b in pairwise(images)), default=images[0]))
    axes.set_xlim(images[0] - 0.3 * gap, images[-1] + 0.3 * gap)
    ends = [v for e in (*comparison.methods, *comparison.full) for by in e.curve.values()
            for v in _reach(list(by.values()))]  # fmt: skip
    if ends:
        room = 0.05 * max(1.0, max(ends) - min(ends))
        axes.set_ylim(min(ends) - room, max(ends) + room)


def _reach(values: Sequence[float]) -> list[float]:
    """All that is drawn of one labelled set."""
    interval = t_interval(values)
    return [*values, interval.low, interval.high] if interval.known else list(values)


def _level(axes: Axes, full: Entry) -> None:
    """A Full baseline: a horizontal line, as it does not depend on the budget."""
    mean, _ = mean_and_spread(list(full.miou.values()))
    axes.axhline(mean, color=GREY, linewidth=1.1, linestyle=(0, (1, 1.5)))


def _curve(axes: Axes, entry: Entry, comparison: Comparison, rank: int, band: float) -> None:
    images = comparison.setting.labelled_images
    cycles = sorted(entry.curve)
    found = [t_interval(list(entry.curve[cycle].values())) for cycle in cycles]
    x = [images[cycle] for cycle in cycles]
    own = look(rank, entry.ssl)
    axes.plot(x, [each.mean for each in found], zorder=3, **own)
    if all(each.known for each in found) and len(x) > 1:
        low, high = [each.low for each in found], [each.high for each in found]
        axes.fill_between(x, low, high, color=own["color"], alpha=band, linewidth=0, zorder=1)
    seeds = [(images[k], v) for k in cycles for v in entry.curve[k].values()]
    if len(seeds) > len(cycles):
        dots_x, dots_y = zip(*seeds, strict=True)
        axes.plot(dots_x, dots_y, ".", color=own["color"], markersize=2.5, alpha=0.7, zorder=2)


def _handles(
    comparison: Comparison, entries: Sequence[Entry], names: Sequence[str]
) -> list[Line2D]:
    from matplotlib.lines import Line2D

    arms = {entry.ssl for entry in entries}
    methods = [name for name in names if any(e.method == name for e in entries)]
    handles = [
        Line2D([], [], **look(names.index(method), arms == {True}), label=short(method, 18))
        for method in methods
    ]
    if any(full.miou for full in comparison.full):
        dotted = (0, (1, 1.5))
        handles.append(Line2D([], [], color=GREY, linewidth=1.1, linestyle=dotted, label="full"))
    if len(arms) == 2:
        grey = partial(Line2D, [], [], color=GREY, marker="o", markersize=4)
        handles.append(grey(label="without SSL"))
        handles.append(grey(label="with SSL", linestyle=(0, (4, 2)), markerfacecolor="white"))
    return list(handles)
