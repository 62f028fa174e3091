"""Values by row and column as coloured cells: IoU by class and method, overlap of choices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from alspec.report.figures.style import WIDTH, Drawn, drawn, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_NUMBERS = 12
"""Columns with more than this are too narrow for numbers in their cells."""


def draw_grid(
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Sequence[float]],
    label: str,
    *,
    top: float = 100.0,
) -> Drawn:
    """Cells from white to blue; grey without a value.

    Args:
        rows: R names.
        columns: C names.
        values: (R, C), from 0 to `top`, NaN where there is none.
        label: of the colours.
        top: the value of the darkest colour.
    """
    inner = max(0.34 * len(columns), 2.4)
    words = 0.068 * max(len(short(name)) for name in rows) + 0.2
    width = max(WIDTH, min(9.5, inner + words + 0.9))

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        high, wide = len(rows), len(columns)
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import LinearSegmentedColormap, Normalize

        colours = LinearSegmentedColormap.from_list("report", ["#f7fbff", "#6baed6", "#08306b"], 20)
        scale = Normalize(0, top)
        for row, line in enumerate(values):
            for column, value in enumerate(line):
                known = not math.isnan(value)
                face = colours(scale(value)) if known else "#c9c9c9"
                axes.add_patch(_cell(column, row, face))
                if wide <= MOST_NUMBERS:
                    ink = "#fefefe" if known and value > 0.55 * top else "#111111"
                    axes.text(column + 0.5, row + 0.5, f"{value:.0f}" if known else "–",
                              ha="center", va="center", fontsize=7.5, color=ink)  # fmt: skip
        axes.set_xlim(0, wide)
        axes.set_ylim(high, 0)
        axes.set_xticks([c + 0.5 for c in range(wide)], [short(c, 20) for c in columns],
                        rotation=40, ha="right", rotation_mode="anchor")  # fmt: skip
        axes.set_yticks([r + 0.5 for r in range(high)], [short(r) for r in rows])
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
        if wide > MOST_NUMBERS:
            bar = figure.colorbar(ScalarMappable(scale, colours), ax=axes, fraction=0.04, pad=0.02)
            bar.set_label(label)
            bar.outline.set_visible(False)

    return drawn(1.0 + 0.22 * max(len(rows), 4), paint, width=width)


def _cell(column: int, row: int, face: object) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((column, row), 1, 1, facecolor=face, edgecolor="#ffffff", linewidth=0.8)
