"""Training curves: each loss by epoch, a thin line a training, the median a thick one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING

from alspec.report.figures.style import COLOURS, GRID, Drawn, drawn, legend_below
from alspec.results.epochs import EpochTable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_LINES = 60
"""Trainings with a line of their own; of more, evenly spaced ones."""


def draw_training(arms: Mapping[str, Sequence[EpochTable]], columns: Mapping[str, str]) -> Drawn:
    """Panels below one another, one a column of epochs.csv.

    Args:
        arms: the trainings of each arm.
        columns: title by column; those that no training has are left out.
    """
    shown = {
        column: title
        for column, title in columns.items()
        if any(column in table for tables in arms.values() for table in tables)
    }

    def paint(figure: Figure) -> None:
        from matplotlib.lines import Line2D
        from matplotlib.ticker import MaxNLocator

        panels = figure.subplots(len(shown), 1, squeeze=False, sharex=True)[:, 0]
        for axes, (column, title) in zip(panels, shown.items(), strict=True):
            for rank, tables in enumerate(arms.values()):
                colour = COLOURS[1 + rank % 6]
                lines = [table[column] for table in tables if table.get(column)]
                for line in lines[:: max(1, len(lines) // MOST_LINES)]:
                    axes.plot(
                        range(1, len(line) + 1), line, color=colour, linewidth=0.5, alpha=0.25
                    )
                middle = _median(lines)
                axes.plot(range(1, len(middle) + 1), middle, color=colour, linewidth=2)
            axes.set_title(title, loc="left")
            axes.grid(axis="y", color=GRID, linewidth=0.6)
        panels[-1].set_xlabel("epoch")
        panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
        handles = [
            Line2D([], [], color=COLOURS[1 + k % 6], linewidth=2, label=arm)
            for k, arm in enumerate(arms)
        ]
        legend_below(figure, handles, columns=2)

    return drawn(0.7 + 1.45 * max(1, len(shown)), paint)


def _median(lines: Sequence[Sequence[float]]) -> list[float]:
    longest = max(map(len, lines), default=0)
    return [median(line[k] for line in lines if len(line) > k) for k in range(longest)]
