"""A project's mIoU by labelled images, and the curve that says what another batch would bring."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from alspec.labelling.worth import Worth, curve_at
from alspec.report.figures.style import COLOURS, GREY, GRID, Drawn, drawn, one_panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw_worth(worth: Worth, batch: int) -> Drawn:
    """Measures with their 95 % intervals; the curve through them, dashed for the next batch.

    Args:
        worth: at least one measure; the curve is drawn where there is one.
        batch: images that the next batch would add.
    """
    images, miou, low, high = (np.array(column) for column in zip(*worth.points, strict=True))

    def paint(figure: Figure) -> None:
        from matplotlib.ticker import MaxNLocator

        with one_panel(figure) as axes:
            measured = np.maximum(0, [miou - low, high - miou])
            axes.errorbar(
                images, miou, measured, fmt="o", color=COLOURS[1], capsize=3, label="measured"
            )
            if worth.curve is not None and worth.next_batch is not None:
                _draw_curve(axes, worth.curve, images, batch)
                gain, now = worth.next_batch, curve_at(worth.curve, images[-1])
                axes.errorbar(
                    images[-1] + batch,
                    now + gain.expected,
                    np.maximum(0, [[gain.expected - gain.low], [gain.high - gain.expected]]),
                    fmt="o",
                    color=GREY,
                    markerfacecolor="white",
                    capsize=3,
                    label="expected of the next batch",
                )
                axes.legend(loc="lower right")
            axes.set_xlabel("labelled images the model was trained on")
            axes.set_ylabel("mIoU (%)")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.grid(axis="y", color=GRID, linewidth=0.6)

    return drawn(2.8, paint)


def _draw_curve(
    axes: Axes, curve: tuple[float, float, float], images: NDArray[np.int64], batch: int
) -> None:
    known = np.linspace(images[0], images[-1])
    axes.plot(known, curve_at(curve, known), color=GREY, zorder=1)
    ahead = np.linspace(images[-1], images[-1] + batch)
    axes.plot(ahead, curve_at(curve, ahead), color=GREY, linestyle=(0, (4, 2)), zorder=1)
