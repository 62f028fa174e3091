"""The key to pictures of masks: each class with its colour."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import TYPE_CHECKING

from alspec.report.figures.style import Drawn, drawn, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS = 3


def draw_colour_key(colours: Mapping[str, str]) -> Drawn:
    """Swatches with their names, down the columns.

    Args:
        colours: `#rrggbb` by what it means.
    """
    rows = ceil(len(colours) / _COLUMNS)

    def paint(figure: Figure) -> None:
        from matplotlib.patches import Rectangle

        axes = figure.subplots()
        for rank, (name, colour) in enumerate(colours.items()):
            column, row = divmod(rank, rows)
            axes.add_patch(Rectangle((column, row + 0.2), 0.11, 0.6, facecolor=colour, linewidth=0))
            axes.text(column + 0.15, row + 0.5, short(name, 20), va="center", color="#000000")
        axes.set_xlim(0, _COLUMNS)
        axes.set_ylim(rows, 0)
        axes.set_axis_off()

    return drawn(0.15 + 0.2 * rows, paint)
