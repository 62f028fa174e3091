"""How much several people's masks of one image agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from alspec.datasets.base import IGNORE, Mask


def pairwise_miou(masks: Mapping[str, Mask | None], classes: Sequence[str]) -> list[list[object]]:
    """Each two people and the mean IoU of their masks in percent, over pixels that both labelled.

    Two without such a pixel are left out.

    Args:
        masks: by person, (H, W) of one size.
        classes: names by id; those that neither used are left out of the mean.
    """
    found = []
    for first, second in combinations(sorted(masks), 2):
        one, other = masks[first], masks[second]
        if one is None or other is None or one.shape != other.shape:
            continue
        miou = miou_of(one, other, len(classes))
        if np.isfinite(miou):  # else they have no pixel in common, so nothing to agree on
            found.append([first, second, round(miou, 2)])
    return found


def miou_of(one: Mask, other: Mask, classes: int) -> float:
    """The mean IoU of two masks in percent; NaN where they have no pixel in common."""
    counted = (one != IGNORE) & (other != IGNORE)
    pairs = one[counted].astype(np.int64) * classes + other[counted]
    confusion = np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)
    both = np.diag(confusion)
    union = confusion.sum(axis=0) + confusion.sum(axis=1) - both
    there = union > 0
    return float(100 * np.mean(both[there] / union[there])) if there.any() else float("nan")
