"""Horizontal bars and dots with intervals, a row a method: labels saved, views, time, Figure 1."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from alspec.report.figures.style import (
    COLOURS,
    GREY,
    GRID,
    MARKERS,
    Drawn,
    drawn,
    legend_below,
    short,
)
from alspec.results.intervals import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw_labels_saved(rows: Mapping[str, tuple[Interval, Sequence[float]]]) -> Drawn:
    """Percent of Random's labels saved until its final mIoU; a method that misses it has no row.

    Args:
        rows: by method, the mean with its interval and every seed's value, percent.
    """

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        axes.axvline(0, color="#000000", linewidth=0.8)
        for row, (interval, seeds) in enumerate(reversed(list(rows.values()))):
            axes.barh(row, interval.mean, height=0.55, color="#56B4E9", linewidth=0)
            axes.plot(seeds, [row] * len(seeds), ".", color="#000000", markersize=3.5, zorder=3)
            if interval.known:
                axes.plot([max(interval.low, -20), min(interval.high, 110)], [row, row],
                          color="#0072B2", linewidth=1.2, zorder=2)  # fmt: skip
        _method_rows(axes, rows)
        axes.set_xlabel("percent of the labels saved")

    return drawn(0.75 + 0.27 * len(rows), paint)


def draw_views(rows: Mapping[str, tuple[float, float]]) -> Drawn:
    """New views and near-copies, a pair of bars a method.

    Args:
        rows: percent of new views and of near-copies by method.
    """
    kinds = ("show a new view", "have a near-copy in their batch")
    colours = ("#0072B2", "#E69F00")

    def paint(figure: Figure) -> None:
        from matplotlib.patches import Patch

        axes = figure.subplots()
        for row, values in enumerate(reversed(list(rows.values()))):
            for value, shift, colour in zip(values, (0.19, -0.19), colours, strict=True):
                axes.barh(row + shift, value, height=0.34, color=colour, linewidth=0)
        axes.set_xlim(0, 100)
        _method_rows(axes, rows)
        axes.set_xlabel("percent of the chosen images")
        handles = [Patch(color=c, label=kind) for kind, c in zip(kinds, colours, strict=True)]
        legend_below(figure, handles, columns=2)

    return drawn(0.95 + 0.3 * len(rows), paint)


def _method_rows(axes: Axes, names: Collection[str]) -> None:
    """The methods' names down the left side, the first on top, and lines down from the ticks."""
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.set_yticks(range(len(names)), [short(name) for name in reversed(list(names))])
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=GRID, linewidth=0.6)


def draw_seconds(title: str, rows: Mapping[str, Mapping[str, float]]) -> Drawn:
    """Seconds by method, stacked by kind of step.

    Args:
        title: of the axis.
        rows: seconds by kind of step, by method.
    """
    kinds = list(dict.fromkeys(kind for by_kind in rows.values() for kind in by_kind))
    colours = ("#0072B2", "#E69F00", "#CC79A7")

    def paint(figure: Figure) -> None:
        from matplotlib.patches import Patch

        axes = figure.subplots()
        for row, by_kind in enumerate(reversed(list(rows.values()))):
            left = 0.0
            for kind, seconds in by_kind.items():
                colour = colours[kinds.index(kind) % len(colours)]
                axes.barh(row, seconds, left=left, height=0.6, color=colour, linewidth=0)
                left += seconds
        _method_rows(axes, rows)
        axes.set_xlabel(title)
        handles = [Patch(color=c, label=kind) for kind, c in zip(kinds, colours, strict=False)]
        legend_below(figure, handles)

    return drawn(1.0 + 0.25 * len(rows), paint)


def draw_redundancy(points: Sequence[tuple[str, float, str, Interval]]) -> Drawn:
    """The paper's Figure 1: best batch method minus best single one, by the pool's redundancy.

    Args:
        points: setting, percent of its pool that shows no new view, arm, difference in points.
    """
    arms = list(dict.fromkeys(arm for _, _, arm, _ in points))
    names = list(dict.fromkeys(name for name, _, _, _ in points))

    def paint(figure: Figure) -> None:
        from matplotlib.lines import Line2D

        axes = figure.subplots()
        axes.axhline(0, color="#000000", linewidth=0.8)
        for name, share, arm, interval in points:
            colour = COLOURS[1 + arms.index(arm) % 6]
            marker = MARKERS[names.index(name) % len(MARKERS)]
            if interval.known:
                axes.plot([share, share], [interval.low, interval.high], color=colour, linewidth=1)
            axes.plot([share], [interval.mean], marker, color=colour, markersize=6)
        axes.set_xlim(-4, 104)
        axes.grid(axis="y", color=GRID, linewidth=0.6)
        axes.set_xlabel("images that show no new view (%)")
        axes.set_ylabel("batch minus single (mIoU)")
        handles = [Line2D([], [], color=COLOURS[1 + k % 6], label=a) for k, a in enumerate(arms)]
        handles += [
            Line2D([], [], color=GREY, marker=MARKERS[k % len(MARKERS)], linestyle="none",
                   label=short(name))
            for k, name in enumerate(names)
        ]  # fmt: skip
        legend_below(figure, handles, columns=2)

    return drawn(2.8 + 0.22 * ((len(arms) + len(names) + 1) // 2), paint)
