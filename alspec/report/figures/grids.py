"""Values by row and column as coloured cells: IoU by class, overlap of choices, classes bought."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alspec.report.figures.style import WIDTH, Drawn, drawn, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PolyCollection
    from matplotlib.figure import Figure
    from matplotlib.typing import ColorType

MOST_NUMBERS = 12
"""Columns with more than this are too narrow for numbers in their cells."""

MOST_TIMES = 4.0
"""The ratio with the darkest colour, and its reciprocal."""

Values = Sequence[Sequence[float]]


@dataclass(frozen=True, slots=True)
class _Look:
    """How values become colours.

    Attributes:
        shades: from the lowest to the highest, evenly apart.
        place: of a value, within [0, 1] of the shades.
        shown: format of a value.
        ticks: labels of the colour bar by place.
    """

    shades: Sequence[str]
    place: Callable[[float], float]
    shown: str
    ticks: Mapping[float, str]


def draw_grid(
    rows: Sequence[str],
    columns: Sequence[str],
    values: Values,
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
    look = _Look(
        shades=("#f7fbff", "#6baed6", "#08306b"),
        place=lambda value: value / top,
        shown="{:.0f}",
        ticks={k / 4: f"{k * top / 4:g}" for k in range(5)},
    )
    return _drawn(rows, columns, values, label, look)


def draw_ratios(rows: Sequence[str], columns: Sequence[str], values: Values, label: str) -> Drawn:
    """Cells white at 1, blue above and orange below, alike for a ratio and its reciprocal.

    Args:
        rows: R names.
        columns: C names.
        values: ratios, (R, C), at least 0, NaN where there is none.
        label: of the colours.
    """

    def place(ratio: float) -> float:
        most = math.log(MOST_TIMES)
        return 0.5 + 0.5 * (math.log(ratio) / most if ratio > 0 else -1)

    look = _Look(
        shades=("#a63603", "#fdae6b", "#fdfdfd", "#6baed6", "#08519c"),
        place=place,
        shown="{:.1f}",
        ticks={0.0: f"1/{MOST_TIMES:g}", 0.25: "1/2", 0.5: "1", 0.75: "2", 1.0: f"{MOST_TIMES:g}"},
    )
    return _drawn(rows, columns, values, label, look)


def _drawn(
    rows: Sequence[str],
    columns: Sequence[str],
    values: Values,
    label: str,
    look: _Look,
) -> Drawn:
    """Cells coloured by their value, with numbers where they fit, else with a colour bar."""
    inner = max(0.34 * len(columns), 2.4)
    words = 0.068 * max(len(short(name)) for name in rows) + 0.2
    width = max(WIDTH, min(9.5, inner + words + 0.9))

    def paint(figure: Figure) -> None:
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import LinearSegmentedColormap

        axes = figure.subplots()
        colours = LinearSegmentedColormap.from_list("report", list(look.shades), 21)
        with_numbers = len(columns) <= MOST_NUMBERS
        places, faces = [], []
        for row, line in enumerate(values):
            for column, value in enumerate(line):
                known = not math.isnan(value)
                face = colours(min(1.0, max(0.0, look.place(value)))) if known else (0.79,) * 3
                places.append((column, row))
                faces.append(face)
                if with_numbers:
                    number = axes.text(
                        column + 0.5, row + 0.5, look.shown.format(value) if known else "–",
                        ha="center", va="center", fontsize=7.5, color=_ink(face),
                    )  # fmt: skip
                    number.set_in_layout(False)  # it lies in its cell: nothing to make room for
        axes.add_collection(_cells(places, faces), autolim=False)
        _frame(axes, rows, columns)
        if not with_numbers:
            bar = figure.colorbar(ScalarMappable(cmap=colours), ax=axes, fraction=0.04, pad=0.02)
            bar.set_ticks(list(look.ticks), labels=list(look.ticks.values()))
            bar.set_label(label)
            bar.outline.set_visible(False)

    return drawn(1.0 + 0.22 * max(len(rows), 4), paint, width=width)


def _frame(axes: Axes, rows: Sequence[str], columns: Sequence[str]) -> None:
    """Names around the cells."""
    axes.set_xlim(0, len(columns))
    axes.set_ylim(len(rows), 0)
    axes.set_xticks([c + 0.5 for c in range(len(columns))], [short(c, 20) for c in columns],
                    rotation=40, ha="right", rotation_mode="anchor")  # fmt: skip
    axes.set_yticks([r + 0.5 for r in range(len(rows))], [short(r) for r in rows])
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _ink(face: Sequence[float]) -> str:
    """The colour of words that are read on a colour, by its luminance."""
    red, green, blue = face[:3]
    return "#fefefe" if 0.299 * red + 0.587 * green + 0.114 * blue < 0.55 else "#111111"


def _cells(places: Sequence[tuple[int, int]], faces: Sequence[ColorType]) -> PolyCollection:
    """Squares at columns and rows, as one artist: a patch each takes a third of the drawing."""
    from matplotlib.collections import PolyCollection

    corners = ((0, 0), (1, 0), (1, 1), (0, 1))
    squares = [[(column + x, row + y) for x, y in corners] for column, row in places]
    return PolyCollection(
        squares, facecolors=faces, edgecolors="#ffffff", linewidths=0.8, joinstyle="miter", zorder=1
    )
