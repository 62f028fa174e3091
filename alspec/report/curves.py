"""The budget curves of a setting as a figure."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import ceil
from typing import TYPE_CHECKING, Any

from alspec.report.markdown_text import percent
from alspec.results.standings import Comparison, Entry
from alspec.results.stats import mean_and_spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe and Ito's palette, told apart by colour-blind readers; its yellow is too pale for lines."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
FULL_COLOUR = "#8c8c8c"

STYLE: Mapping[str, Any] = {
    "svg.hashsalt": "alspec",
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "axes.labelsize": 9,
    "axes.titlesize": 9.5,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "lines.linewidth": 1.4,
    "lines.markersize": 5,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
}

MOST_TICKS = 6
"""Budgets whose numbers fit side by side."""

DODGE = 0.16
"""Share of the smallest distance between two budgets over which the methods' whiskers spread."""


def draw_setting(comparisons: Sequence[Comparison]) -> Mapping[str, bytes]:
    """One setting's budget curves: a panel an architecture, a line a method and SSL arm.

    Args:
        comparisons: those of one setting, at least one.

    Returns:
        The figure as `svg` and as `png`, the same bytes for the same results.
    """
    from matplotlib import style

    with style.context(["default", dict(STYLE)]):
        figure = _figure(comparisons)
        return {
            "svg": _saved(figure, format="svg", metadata={"Date": None, "Creator": None}),
            "png": _saved(figure, format="png", dpi=160, metadata={"Software": None}),
        }


def figure_of(comparisons: Sequence[Comparison]) -> Figure:
    """The same figure, for a notebook.

    Raises:
        IndexError: there is nothing to compare.
    """
    from matplotlib import style

    with style.context(["default", dict(STYLE)]):
        return _figure(comparisons)


def _saved(figure: Figure, **options: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, bbox_inches="tight", pad_inches=0.06, **options)
    return buffer.getvalue()


def _figure(comparisons: Sequence[Comparison]) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.6 * len(comparisons) + 2.2, 3.3), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(comparisons), sharey=True, squeeze=False)[0]
    methods = _in_order_of_colour(comparisons)
    for axes, comparison in zip(panels, comparisons, strict=True):
        _panel(axes, comparison, methods)
    panels[0].set_ylabel("mIoU (%)")
    setting = comparisons[0].setting
    where = f"{setting.dataset}, budget {setting.budget}"
    if len(comparisons) == 1:
        arm = "with MC-dropout layers" if comparisons[0].mc_dropout else ""
        panels[0].set_title(", ".join(filter(None, (where, arm))), loc="left")
    else:
        figure.suptitle(where, x=0.01, ha="left", fontsize=9.5)
        for axes, comparison in zip(panels, comparisons, strict=True):
            arm = "with MC-dropout layers" if comparison.mc_dropout else "without dropout layers"
            axes.set_title(arm, loc="left")
    _legend(figure, comparisons, methods)
    return figure


def _in_order_of_colour(comparisons: Sequence[Comparison]) -> list[str]:
    """Random first, which gives it black, then the others as in the spec."""
    entries = [entry for comparison in comparisons for entry in comparison.methods]
    return list(dict.fromkeys(e.method for e in sorted(entries, key=lambda e: not e.reference)))


def _panel(axes: Axes, comparison: Comparison, methods: Sequence[str]) -> None:
    images = comparison.setting.labelled_images
    every = ceil(len(images) / MOST_TICKS)
    last_first = slice(None, None, -every)
    axes.set_xticks(images[last_first], _tick_labels(comparison)[last_first])
    axes.set_xlabel("labelled images")
    axes.grid(axis="y", color="#e4e4e4", linewidth=0.6)
    gap = max(1, min((b - a for a, b in pairwise(images)), default=images[0]))
    axes.set_xlim(images[0] - 0.3 * gap, images[-1] + 0.3 * gap)
    for full in comparison.full:
        if full.miou:
            _level(axes, full)
    drawn = [entry for entry in comparison.methods if entry.curve]
    for place, entry in enumerate(drawn):
        shift = (place / (len(drawn) - 1) - 0.5) * DODGE * gap if len(drawn) > 1 else 0.0
        _curve(axes, entry, images, shift, methods.index(entry.method))
    if not drawn:
        axes.set_ylim(0, 100)
        axes.text(0.5, 0.15, "nothing finished yet", transform=axes.transAxes, ha="center")


def _tick_labels(comparison: Comparison) -> list[str]:
    return [
        f"{count:,}\n{percent(share)} %"
        for count, share in zip(
            comparison.setting.labelled_images, comparison.budget_percent, strict=True
        )
    ]


def _level(axes: Axes, full: Entry) -> None:
    """A Full baseline: a horizontal line, as it does not depend on the budget."""
    mean, spread = mean_and_spread(list(full.miou.values()))
    axes.axhline(mean, color=FULL_COLOUR, linewidth=1.1, linestyle="-" if not full.ssl else ":")
    if spread > 0:
        axes.axhspan(mean - spread, mean + spread, color=FULL_COLOUR, alpha=0.13, linewidth=0)


def _curve(axes: Axes, entry: Entry, images: Sequence[int], shift: float, rank: int) -> None:
    cycles = sorted(entry.curve)
    stats = [mean_and_spread(list(entry.curve[cycle].values())) for cycle in cycles]
    x = [images[cycle] + shift for cycle in cycles]
    look = _look(rank, entry.ssl)
    axes.plot(x, [mean for mean, _ in stats], zorder=3, **look)
    known = [(at, mean, spread) for at, (mean, spread) in zip(x, stats, strict=True) if spread > 0]
    if known:
        at, means, spreads = zip(*known, strict=True)
        axes.errorbar(
            at, means, yerr=spreads, fmt="none", ecolor=look["color"], elinewidth=0.7,
            capsize=1.6, capthick=0.7, alpha=0.65, zorder=2,
        )  # fmt: skip


def _look(rank: int, ssl: bool) -> dict[str, Any]:
    """A method's colour and marker, filled and solid with SSL, hollow and dashed without."""
    colour = COLOURS[rank % len(COLOURS)]
    return {
        "color": colour,
        "marker": MARKERS[rank % len(MARKERS)],
        "linestyle": "-" if ssl else (0, (4, 2)),
        "markerfacecolor": colour if ssl else "white",
        "markeredgewidth": 1.0,
    }


def _legend(figure: Figure, comparisons: Sequence[Comparison], methods: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    arms = sorted({entry.ssl for c in comparisons for entry in c.methods}, reverse=True)
    handles = [
        Line2D([], [], **_look(rank, True in arms), label=method)
        for rank, method in enumerate(methods)
    ]
    full = {entry.ssl for c in comparisons for entry in c.full if entry.miou}
    handles += [
        Line2D([], [], color=FULL_COLOUR, linewidth=1.1, linestyle=":" if ssl else "-",
               label="full (100 %)" + (", SSL" if ssl else ""))
        for ssl in sorted(full)
    ]  # fmt: skip
    handles.append(Line2D([], [], linestyle="none", label=" "))
    words = {True: "solid, filled:\nwith s4GAN (SSL)", False: "dashed, hollow:\nwithout"}
    handles += [
        Line2D([], [], **{**_look(0, ssl), "color": "#555555", "marker": "o",
               "markeredgecolor": "#555555",
               "markerfacecolor": "#555555" if ssl else "white"}, label=words[ssl])
        for ssl in arms
    ]  # fmt: skip
    if any(len(values) > 1 for c in comparisons for e in c.methods for values in e.curve.values()):
        handles.append(
            Line2D([], [], linestyle="none", marker="|", color="#555555", markersize=9,
                   label="± spread over seeds")
        )  # fmt: skip
    figure.legend(handles=handles, loc="outside right center", handlelength=2.8, labelspacing=0.55)
