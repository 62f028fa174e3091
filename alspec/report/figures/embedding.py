"""The paper's Figure 5: the pool in two dimensions, and what each method chose first."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from alspec.report.figures.style import Drawn, drawn, legend_below, short
from alspec.results.illustrations import Embedding

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_PANELS = 12


def draw_embedding(found: Embedding) -> Drawn:
    """A panel a method: the pool grey, the initial set black, the first batch coloured."""
    methods = dict(list(found.chosen.items())[:MOST_PANELS])
    rows = ceil(len(methods) / 2)

    def paint(figure: Figure) -> None:
        from matplotlib.lines import Line2D

        panels = figure.subplots(rows, 2, squeeze=False, sharex=True, sharey=True).ravel()
        for axes in panels[len(methods) :]:
            axes.set_axis_off()
        groups = [("pool", "#8f969d", 2.2), ("initial set", "#000000", 3.4),
                  ("first batch", "#D55E00", 3.4)]  # fmt: skip
        for axes, (method, chosen) in zip(panels, methods.items(), strict=False):
            for wanted, (_, colour, size) in zip(
                (None, found.initial, chosen), groups, strict=True
            ):
                dots = [(x, y) for image, x, y in found.points if wanted is None or image in wanted]
                if dots:
                    axes.plot(*zip(*dots, strict=True), "o", color=colour, markersize=size,
                              markeredgewidth=0)  # fmt: skip
            axes.set_title(short(method), loc="left")
            axes.set_xticks([])
            axes.set_yticks([])
        handles = [
            Line2D([], [], color=colour, marker="o", linestyle="none", markersize=4, label=name)
            for name, colour, _ in groups
        ]
        legend_below(figure, handles)

    return drawn(0.5 + 1.9 * rows, paint)
