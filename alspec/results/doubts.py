"""Reasons against a claim from a comparison, found in its numbers alone."""

from __future__ import annotations

from dataclasses import dataclass

from alspec.results.predicted import PredictedClasses
from alspec.results.standings import Comparison, Entry
from alspec.results.stats import mean_and_spread

SAME_POINTS = 0.005
"""Two means of percent closer than this print alike."""


@dataclass(frozen=True, slots=True)
class Doubts:
    """Signs at the headline budget that models were not trained, or that an order means nothing.

    Attributes:
        nothing_counts: no validation pixel counts, so no model can be measured.
        one_class: the only classes predicted, where every finished model predicts a single class
            everywhere; empty otherwise.
        fewer: entries that predict fewer classes than the validation set has, in some seed, each
            with the classes that are missing.
        above_full: methods whose mean is above that of the best Full baseline.
        tied: methods whose means are the best and print alike; empty for fewer than two.
    """

    nothing_counts: bool = False
    one_class: tuple[str, ...] = ()
    fewer: tuple[tuple[Entry, tuple[str, ...]], ...] = ()
    above_full: tuple[Entry, ...] = ()
    tied: tuple[Entry, ...] = ()

    @property
    def allow_no_order(self) -> bool:
        """Whether methods must not be ranked at all."""
        return self.nothing_counts or bool(self.one_class) or bool(self.tied)


def doubts(comparison: Comparison) -> Doubts:
    """The doubts about a comparison, finished or not."""
    entries = (*comparison.methods, *comparison.full)
    models = [model for entry in entries for model in entry.predicted.values()]
    collapsed = bool(models) and all(model.is_collapsed for model in models)
    return Doubts(
        nothing_counts=bool(models) and not any(model.present for model in models),
        one_class=_in_order(models) if collapsed else (),
        fewer=tuple((entry, names) for entry in entries if (names := _missing(entry))),
        above_full=_above_full(comparison),
        tied=_tied(comparison),
    )


def _in_order(models: list[PredictedClasses]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for model in models for name in model.predicted))


def _missing(entry: Entry) -> tuple[str, ...]:
    """Classes that some seed's model never predicts."""
    names = (name for model in entry.predicted.values() for name in model.missing)
    return tuple(dict.fromkeys(names))


def _means(entries: tuple[Entry, ...]) -> list[tuple[Entry, float]]:
    return [(each, mean_and_spread(list(each.miou.values()))[0]) for each in entries if each.miou]


def _above_full(comparison: Comparison) -> tuple[Entry, ...]:
    full = [mean for _, mean in _means(comparison.full)]
    if not full:
        return ()
    return tuple(entry for entry, mean in _means(comparison.methods) if mean > max(full))


def _tied(comparison: Comparison) -> tuple[Entry, ...]:
    means = _means(comparison.methods)
    if comparison.at_initial_set or len(means) < 2:
        return ()
    best = max(mean for _, mean in means)
    first = tuple(entry for entry, mean in means if best - mean < SAME_POINTS)
    return first if len(first) > 1 else ()
