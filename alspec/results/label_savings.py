"""How many labels a method saves until it is as good as Random is at its end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from alspec.results.intervals import BySeed, Interval, t_interval
from alspec.results.standings import Comparison, Entry


@dataclass(frozen=True)
class LabelsSaved:
    """Labels that one method saves against Random of the same SSL arm, paired by seed.

    Attributes:
        entry: the method.
        by_seed: images saved, of the seeds in which it reaches Random's final mIoU.
        not_reached: seeds in which it does not.
        share: mean and interval of the saved share of Random's labels, percent; of seeds none
            where one does not reach it, since their mean would leave out the worst.
    """

    entry: Entry
    by_seed: BySeed
    not_reached: tuple[int, ...]
    share: Interval


def labels_saved(comparison: Comparison) -> Iterator[LabelsSaved]:
    """Every method with a finished Random of its arm, in the comparison's order."""
    images = comparison.setting.labelled_images
    last = len(images) - 1
    for entry in comparison.methods:
        reference = comparison.reference_of(entry)
        if entry.reference or reference is None:
            continue
        goals = reference.curve.get(last, {})
        saved, not_reached = {}, []
        for seed, goal in sorted(goals.items()):
            curve = [(images[k], by[seed]) for k, by in sorted(entry.curve.items()) if seed in by]
            needed = _reaches(curve, goal)
            if needed is not None:
                saved[seed] = images[last] - needed
            elif seed in entry.curve.get(last, {}):
                not_reached.append(seed)
        if saved or not_reached:
            shares = [100 * value / images[last] for value in saved.values()]
            share = t_interval([] if not_reached else shares)
            yield LabelsSaved(entry, saved, tuple(not_reached), share)


def _reaches(curve: Sequence[tuple[int, float]], goal: float) -> float | None:
    """Labelled images at which a curve first reaches a mIoU, on straight lines between its points.

    Args:
        curve: labelled images and mIoU in percent, images increasing.
        goal: mIoU in percent.

    >>> _reaches([(10, 50.0), (20, 60.0)], 55.0)
    15.0
    """
    if curve and curve[0][1] >= goal:
        return float(curve[0][0])
    for (images, miou), (next_images, next_miou) in pairwise(curve):
        if next_miou >= goal:
            return images + (next_images - images) * (goal - miou) / (next_miou - miou)
    return None
