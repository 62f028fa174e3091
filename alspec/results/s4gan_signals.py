"""Whether s4GAN did anything in a training: what it accepted, and whether D learnt."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from alspec.results.epochs import EpochTable

if TYPE_CHECKING:
    from pandas import DataFrame

LEAST_ACCEPTED = 0.05
"""Mean share of accepted images below which s4GAN's self-training does next to nothing."""

LEAST_APART = 0.05
"""Difference of D's mean scores of true and of predicted maps below which D learnt nothing."""

COLUMNS = ("accepted", "score_real", "score_fake")
"""Of epochs.csv, written for trainings with s4GAN alone."""

IDENTITY = ("dataset", "pool", "budget", "method", "mc_dropout", "seed", "cycle", "train_key")


@dataclass(frozen=True, slots=True)
class S4GANSignals:
    """Means over the epochs of a training, or over several trainings.

    Attributes:
        accepted: share of unlabelled images whose prediction is trained on, within [0, 1].
        score_real: D's score of true maps, within [0, 1].
        score_fake: of predicted maps.
    """

    accepted: float
    score_real: float
    score_fake: float

    @property
    def idle(self) -> bool:
        """Whether s4GAN did next to nothing, so that nothing should rest on it."""
        apart = abs(self.score_real - self.score_fake)
        return self.accepted < LEAST_ACCEPTED or apart < LEAST_APART

    def in_words(self) -> str:
        """The three numbers."""
        return (
            f"accepted {100 * self.accepted:.1f} % of unlabelled images, scored true maps "
            f"{self.score_real:.2f} and predicted ones {self.score_fake:.2f}"
        )


def signals_of(table: EpochTable) -> S4GANSignals | None:
    """The signals of one training; None without s4GAN's columns or without a number in one."""
    means = []
    for column in COLUMNS:
        numbers = [value for value in table.get(column, ()) if not math.isnan(value)]
        if not numbers:
            return None
        means.append(fmean(numbers))
    return S4GANSignals(*means)


def mean_signals(tables: Iterable[EpochTable]) -> S4GANSignals | None:
    """The means over several trainings; None where none has signals."""
    found = [signals for table in tables if (signals := signals_of(table))]
    if not found:
        return None
    return S4GANSignals(
        fmean(one.accepted for one in found),
        fmean(one.score_real for one in found),
        fmean(one.score_fake for one in found),
    )


def signal_rows(
    sets: DataFrame, epochs: Mapping[str, EpochTable]
) -> list[Sequence[str | int | float]]:
    """A row a distinct training with s4GAN: `IDENTITY` of its first labelled set, then `COLUMNS`.

    Args:
        sets: rows of results.csv.
        epochs: by train key.
    """
    trained = sets[sets["ssl"].astype(bool)].drop_duplicates("train_key")
    rows: list[Sequence[str | int | float]] = []
    for identity in trained[list(IDENTITY)].itertuples(index=False, name=None):
        signals = signals_of(epochs.get(identity[-1], {}))
        if signals:
            numbers = (signals.accepted, signals.score_real, signals.score_fake)
            rows.append((*identity, *(f"{number:.4f}" for number in numbers)))
    return rows
