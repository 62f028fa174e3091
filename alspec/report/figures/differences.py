"""The paired difference of every method to Random, a row a method, with its intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from alspec.report.figures.style import GREY, GRID, Drawn, drawn, short
from alspec.results.intervals import MARGIN, Difference, Outcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = {Outcome.WIN: "#009E73", Outcome.LOSS: "#D55E00"}


def draw_differences(found: Mapping[str, Difference], unit: str = "mIoU") -> Drawn:
    """Mean difference, every seed, the interval alone (thick) and together with the others (thin).

    Args:
        found: differences by method, at least one.
        unit: of the axis.
    """

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        axes.axvspan(-MARGIN, MARGIN, color=GRID, linewidth=0, zorder=0)
        axes.axvline(0, color="#000000", linewidth=0.8, zorder=1)
        ends = [-1.5 * MARGIN, 1.5 * MARGIN]
        for row, each in enumerate(reversed(list(found.values()))):
            colour = _COLOURS.get(each.outcome, GREY)
            for interval, width in ((each.together, 1.0), (each.alone, 3.4)):
                if interval.known:
                    axes.plot([interval.low, interval.high], [row, row], color=colour,
                              linewidth=width, solid_capstyle="butt", zorder=2)  # fmt: skip
            dots = list(each.by_seed.values())
            axes.plot(dots, [row] * len(dots), ".", color="#000000", markersize=3.5, zorder=3)
            axes.plot([each.points], [row], "D", color=colour, markersize=5.5, zorder=4,
                      markeredgecolor="white", markeredgewidth=0.7)  # fmt: skip
            ends += [*dots, each.points]
            ends += [each.alone.low, each.alone.high] if each.alone.known else []
        room = 0.06 * (max(ends) - min(ends))
        axes.set_xlim(min(ends) - room, max(ends) + room)  # thin lines may leave the panel
        axes.set_ylim(-0.6, len(found) - 0.4)
        axes.set_yticks(range(len(found)), [short(name) for name in reversed(list(found))])
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(f"points of {unit} above Random of the same arm")

    return drawn(0.75 + 0.27 * len(found), paint)
