"""What makes a number worth less than it looks: inert SSL, collapsed models, unseen classes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alspec.results.epochs import EpochTable
from alspec.results.s4gan_signals import S4GANSignals, mean_signals
from alspec.results.standings import Comparison, Entry

if TYPE_CHECKING:
    from pandas import DataFrame

ACCEPTED = "accepted"
"""The column of epochs.csv with the share of unlabelled images whose prediction s4GAN trains on."""

INERT = 0.001
"""Accepted share below which self-training has no effect."""


@dataclass(frozen=True, slots=True)
class Flags:
    """What to know beside one method's numbers; counts of its labelled sets.

    Attributes:
        sets: finished labelled sets, over seeds and cycles.
        inert: of them trained with s4GAN that never accepted a prediction.
        credulous: of them trained with s4GAN that accepted every prediction in its last epoch.
        s4gan: what s4GAN did in these trainings on average; None without it.
        collapsed: of them whose model finds one class at most.
        unseen: names of classes of the validation images that are never found at the headline
            budget, in any seed.
        classes: number of classes in the mean there.
    """

    sets: int
    inert: int
    credulous: int
    collapsed: int
    unseen: tuple[str, ...]
    classes: int
    s4gan: S4GANSignals | None = None

    @property
    def idle(self) -> bool:
        """Whether s4GAN did next to nothing, so that no conclusion should rest on it."""
        return self.s4gan is not None and self.s4gan.idle

    @property
    def any(self) -> bool:
        """Whether there is anything to say besides classes that are never found."""
        return bool(self.inert or self.credulous or self.collapsed or self.idle)


def flags_of(
    comparison: Comparison,
    entry: Entry,
    sets: DataFrame,
    classes: DataFrame,
    epochs: Mapping[str, EpochTable],
) -> Flags:
    """The flags of one method of a comparison.

    Args:
        comparison: of the method.
        entry: the method.
        sets: its finished labelled sets, rows of results.csv.
        classes: its rows of classes.csv.
        epochs: epochs.csv by train key, of the trainings that have one.
    """
    tables = [epochs[key] for key in sets["train_key"] if key in epochs]
    accepted = [table[ACCEPTED] for table in tables if table.get(ACCEPTED)]
    found = classes[classes["intersection"] > 0].groupby(["seed", "cycle"])["class"].nunique()
    present = classes[classes["union"] > 0].groupby(["seed", "cycle"])["class"].nunique()
    collapsed = sum(int(found.get(one, 0)) <= 1 for one, several in present.items() if several > 2)
    at = 0 if entry.family == "full" else comparison.headline_cycle
    unseen, counted = _unseen(classes[classes["cycle"] == at])
    return Flags(
        sets=len(sets),
        inert=sum(max(shares) < INERT for shares in accepted),
        credulous=sum(shares[-1] > 1 - INERT for shares in accepted),
        collapsed=collapsed,
        unseen=unseen,
        classes=counted,
        s4gan=mean_signals(tables),
    )


def _unseen(classes: DataFrame) -> tuple[tuple[str, ...], int]:
    """Classes with pixels and without a hit in every seed, and the number with pixels in any."""
    here: dict[str, list[object]] = {}
    columns = classes[["class", "intersection", "union"]]
    for name, intersection, union in columns.itertuples(index=False, name=None):
        if union > 0:
            here.setdefault(name, []).append(intersection)
    return tuple(name for name, hits in here.items() if not any(hits)), len(here)


def absent_classes(classes: DataFrame) -> Sequence[str]:
    """Classes that are neither in the validation images nor predicted anywhere in a setting."""
    absent = classes.groupby("class", sort=False)["iou"].apply(lambda iou: iou.isna().all())
    return [str(name) for name, gone in absent.items() if gone and not math.isnan(gone)]
