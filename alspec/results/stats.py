"""The study's measures: IoU of a confusion matrix, area under the budget curve, spread over seeds.

C = classes, N = labelled sets of a run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def iou_of(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """Intersection over union of each class.

    Args:
        confusion: pixel counts, (C, C), rows truth, columns prediction, ignored pixels left out.

    Returns:
        Percent, (C,), within [0, 100]; NaN for a class that is neither there nor predicted.

    Raises:
        ValueError: the matrix is not square or holds a negative count.
    """
    intersection, union = intersection_and_union(confusion)
    percent = np.full(len(union), np.nan)
    np.divide(100.0 * intersection, union, out=percent, where=union > 0)
    return percent


def intersection_and_union(
    confusion: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pixels in the intersection and the union of truth and prediction, each (C,).

    Raises:
        ValueError: the matrix is not square or holds a negative count.
    """
    counts = np.asarray(confusion)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        raise ValueError(f"a confusion matrix is square, (C, C); this one is {counts.shape}")
    if counts.size and counts.min() < 0:
        raise ValueError("a confusion matrix counts pixels; this one has a negative count")
    counts = counts.astype(np.int64)
    intersection = counts.diagonal()
    return intersection, counts.sum(axis=0) + counts.sum(axis=1) - intersection


def miou_of(confusion: NDArray[np.int64]) -> float:
    """Mean IoU in percent over the classes that are there or predicted; NaN if none is.

    Args:
        confusion: as for `iou_of`.

    >>> miou_of(np.array([[3, 1, 0], [0, 4, 0], [0, 0, 0]]))
    77.5
    """
    iou = iou_of(confusion)
    known = iou[~np.isnan(iou)]
    return float(known.mean()) if known.size else math.nan


def area_under_budget(fractions: ArrayLike, miou: ArrayLike) -> float:
    """AUC@B, the trapezoid area under the budget curve (paper, eq. 1).

    Args:
        fractions: labelled fraction of the pool at each labelled set, (N,), within [0, 1],
            increasing.
        miou: mIoU in percent at each, (N,); a NaN makes the area NaN.

    Returns:
        `sum_i (b_{i+1} - b_i) (p_i + p_{i+1}) / 2`; 0 for a single point, which spans nothing.

    Raises:
        ValueError: no points, unequal lengths, or fractions outside [0, 1] or not increasing.

    >>> round(area_under_budget([0.1, 0.5], [68.42, 68.42]), 2)
    27.37
    """
    budget, performance = (np.asarray(values, dtype=np.float64) for values in (fractions, miou))
    if budget.ndim != 1 or budget.shape != performance.shape or not budget.size:
        raise ValueError(
            "a budget curve is two lists of one length, at least 1; "
            f"got fractions {budget.shape} and mIoU {performance.shape}"
        )
    if not ((budget >= 0) & (budget <= 1)).all():
        raise ValueError(f"labelled fractions lie within [0, 1]; got {budget.tolist()}")
    if not (np.diff(budget) > 0).all():
        raise ValueError(f"labelled fractions must increase; got {budget.tolist()}")
    return float(np.sum(np.diff(budget) * (performance[:-1] + performance[1:]) / 2))


def mean_and_spread(values: Sequence[float]) -> tuple[float, float]:
    """Mean and sample standard deviation (n - 1) over seeds.

    Returns:
        Both NaN for no value; the spread NaN for one.

    >>> mean_and_spread([60.0, 62.0, 64.0])
    (62.0, 2.0)
    """
    if not len(values):
        return math.nan, math.nan
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
    return float(np.mean(values)), spread
