"""How figures look, and how they become bytes that are the same for the same results."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from alspec.report.figures.svg import plain_svg

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe and Ito's palette, for colour-blind readers too; its yellow is too pale for lines."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
GREY = "#767676"
GRID = "#e4e4e4"

WIDTH = 4.9
"""Inches; at 96 pixels an inch it fits a column of a wide window and, shrunk a little, a phone."""

STYLE: Mapping[str, object] = {
    "svg.hashsalt": "alspec",
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.labelsize": 9,
    "axes.titlesize": 9.5,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "lines.linewidth": 1.5,
    "lines.markersize": 5,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "text.parse_math": False,
    "axes.unicode_minus": False,
}


@dataclass(frozen=True, slots=True)
class Drawn:
    """A figure as its two files.

    Attributes:
        svg: of presentation attributes alone, so that it needs no style sheet.
        png: the same at 160 dots an inch.
    """

    svg: bytes
    png: bytes

    def files(self) -> Mapping[str, bytes]:
        """The bytes by their suffix."""
        return {"svg": self.svg, "png": self.png}


def drawn(height: float, paint: Callable[[Figure], None], *, width: float = WIDTH) -> Drawn:
    """A figure painted in the report's style, whatever the user's own style is.

    Args:
        height: inches.
        paint: draws into the empty figure.
        width: inches.
    """
    from matplotlib import style

    with style.context(["default", dict(STYLE)]):
        figure = painted(height, paint, width=width)
        if engine := figure.get_layout_engine():  # once; saving would lay out and draw it again
            engine.execute(figure)
        figure.set_layout_engine(None)
        svg = _saved(figure, "svg", {"Date": None, "Creator": None})
        png = _saved(figure, "png", {"Software": None}, dpi=160)
    return Drawn(svg=plain_svg(svg), png=png)


def painted(height: float, paint: Callable[[Figure], None], *, width: float = WIDTH) -> Figure:
    """The figure itself, in the style at hand.

    Args:
        height: inches.
        paint: draws into the empty figure.
        width: inches.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = _inline(Figure)(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    paint(figure)
    return figure


def _saved(figure: Figure, form: str, metadata: Mapping[str, None], dpi: float = 100) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=form, dpi=dpi, metadata=dict(metadata))
    return buffer.getvalue()


@contextmanager
def one_panel(figure: Figure) -> Iterator[Axes]:
    """The only axes of a figure."""
    yield figure.subplots()


class Look(TypedDict):
    """What matplotlib draws a method's line with."""

    color: str
    marker: str
    linestyle: str | tuple[float, Sequence[float]]
    markerfacecolor: str
    markeredgewidth: float


def look(rank: int, ssl: bool) -> Look:
    """A method's colour and marker; solid and filled without SSL, dashed and hollow with."""
    colour = COLOURS[rank % len(COLOURS)]
    return {
        "color": colour,
        "marker": MARKERS[rank % len(MARKERS)],
        "linestyle": (0, (4, 2)) if ssl else "-",
        "markerfacecolor": "white" if ssl else colour,
        "markeredgewidth": 1.0,
    }


def legend_below(figure: Figure, handles: Sequence[Artist], columns: int = 3) -> None:
    """A legend under the panels, where it fits on a phone."""
    if handles:
        figure.legend(
            handles=list(handles), loc="outside lower center", ncols=columns, handlelength=2.4,
            columnspacing=1.2, labelspacing=0.4, borderaxespad=0.2,
        )  # fmt: skip


def short(name: str, longest: int = 26) -> str:
    """A name that leaves room for the figure."""
    return name if len(name) <= longest else name[: longest - 1] + "…"


def _inline(figure: type[Figure]) -> type[Figure]:
    """The class of figures that notebooks show, whether or not pyplot is loaded there."""

    class InlineFigure(figure):  # type: ignore[misc,valid-type]
        def _repr_png_(self) -> bytes:
            buffer = io.BytesIO()
            self.savefig(buffer, format="png", dpi=120, bbox_inches="tight")
            return buffer.getvalue()

    return InlineFigure
