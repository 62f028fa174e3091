"""Methods side by side: their numbers over seeds in each setting, who is best and by how much."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from alspec.plan.dag import Plan, Run, Setting
from alspec.results.intervals import MARGIN, BySeed, Difference, difference
from alspec.results.predicted import PredictedClasses
from alspec.results.stats import mean_and_spread
from alspec.results.table import Results, cycle_at, headline_budget

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class Entry:
    """A method in one SSL arm, or a Full baseline.

    Attributes:
        method: its label.
        family: random, single, batch or full.
        ssl: trained with s4GAN.
        reference: it is Random, what the others are measured against.
        seeds: the planned ones.
        curve: mIoU in percent by cycle and seed, finished sets only, no NaN.
        miou: the same at the comparison's `miou_at`.
        auc: AUC@B by seed, finished runs only.
        predicted: the classes predicted at `miou_at`, by seed; also where there is no mIoU.
    """

    method: str
    family: str
    ssl: bool
    reference: bool
    seeds: tuple[int, ...]
    curve: Mapping[int, BySeed]
    miou: BySeed
    auc: BySeed
    predicted: Mapping[int, PredictedClasses] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The label with its SSL arm, as `entropy-SSL`."""
        return self.method + ("-SSL" if self.ssl else "")

    @property
    def key(self) -> tuple[str, bool]:
        """Names the entry within its comparison."""
        return self.method, self.ssl


@dataclass(frozen=True)
class Comparison:
    """What may be compared with one another: one setting, one architecture.

    Attributes:
        setting: dataset, pool, budget.
        mc_dropout: the architecture with dropout layers in the decoder.
        budget_percent: labelled, at each cycle.
        miou_at: percent labelled at which `Entry.miou` is taken.
        auc_at: percent labelled up to which `Entry.auc` runs; None where the study asks for no AUC.
        methods: without Full; SSL arms one after the other, in the spec's order.
        full: the Full baselines.
    """

    setting: Setting
    mc_dropout: bool
    budget_percent: tuple[float, ...]
    miou_at: float
    auc_at: float | None
    methods: tuple[Entry, ...]
    full: tuple[Entry, ...]

    def reference_of(self, entry: Entry) -> Entry | None:
        """Random of the entry's SSL arm; None where the comparison has none."""
        return next((e for e in self.methods if e.reference and e.ssl is entry.ssl), None)

    def margin(self, measure: str) -> float:
        """The difference that matters, in the unit of `miou` or `auc`."""
        span = (self.budget_percent[-1] - self.budget_percent[0]) / 100
        return MARGIN * span if measure == "auc" and span > 0 else MARGIN

    @property
    def headline_cycle(self) -> int | None:
        """The cycle at which `Entry.miou` is taken."""
        return cycle_at(self.budget_percent, self.miou_at)

    @property
    def at_initial_set(self) -> bool:
        """Whether `miou_at` is the first cycle, where all methods have the same labelled set."""
        return self.headline_cycle == 0

    @property
    def last_common_cycle(self) -> int | None:
        """The last cycle that every method with results has, at most that of `miou_at`."""
        curves = [entry.curve for entry in self.methods if entry.curve]
        upto = cycle_at(self.budget_percent, self.miou_at)
        common = set.intersection(*(set(curve) for curve in curves)) if curves else set()
        return max((k for k in common if upto is None or k <= upto), default=None)


@dataclass(frozen=True, slots=True)
class Margin:
    """One method over another.

    Attributes:
        other: the one behind.
        difference: of the two, paired by seed; negative if `other` is ahead.
    """

    other: Entry
    difference: Difference

    @property
    def points(self) -> float:
        """Difference of the means."""
        return self.difference.points


@dataclass(frozen=True, slots=True)
class Standing:
    """The order of methods by one measure.

    Attributes:
        best: the method with the highest mean.
        mean: its mean.
        seeds: that every method with a result has; means are over them.
        over_next: best over the runner-up; None if it is alone.
        over_random: best over Random of the same SSL arm; None if there is none or it is best.
    """

    best: Entry
    mean: float
    seeds: tuple[int, ...]
    over_next: Margin | None
    over_random: Margin | None


def comparisons(plan: Plan, results: Results) -> tuple[Comparison, ...]:
    """Every setting and architecture of the plan, in plan order, finished or not."""
    labels = {method.label for method in plan.study.methods if method.name == "random"}
    labels.add("random")  # the dropout arm has one of its own where the spec names none
    points, areas = _points(results), _areas(results)
    made = []
    for setting in plan.settings:
        here = [run for run in plan.runs if (run.dataset, run.pool, run.budget) == _place(setting)]
        for mc_dropout in (False, True):
            runs = [run for run in here if run.mc_dropout is mc_dropout]
            if not runs:
                continue
            percent = runs[0].budget_percent
            at = headline_budget(plan, percent)
            at = percent[-1] if at is None else at
            entries = [
                _entry(group, at, labels, points, areas, results.predicted)
                for group in _by_method(runs).values()
            ]
            made.append(
                Comparison(
                    setting=setting,
                    mc_dropout=mc_dropout,
                    budget_percent=percent,
                    miou_at=at,
                    auc_at=percent[-1] if plan.study.evaluation.auc and len(percent) > 1 else None,
                    methods=tuple(
                        sorted((e for e in entries if e.family != "full"), key=lambda e: e.ssl)
                    ),
                    full=tuple(e for e in entries if e.family == "full"),
                )
            )
    return tuple(made)


def over_random(
    comparison: Comparison, measure: str = "miou"
) -> Mapping[tuple[str, bool], Difference]:
    """Every method minus Random of its SSL arm, by the method's key; intervals hold together."""
    pairs = [
        (entry, reference)
        for entry in comparison.methods
        if not entry.reference and getattr(entry, measure)
        if (reference := comparison.reference_of(entry)) and getattr(reference, measure)
    ]
    return {
        entry.key: difference(
            getattr(entry, measure),
            getattr(reference, measure),
            comparisons=len(pairs),
            margin=comparison.margin(measure),
        )
        for entry, reference in pairs
    }


def standing(entries: Sequence[Entry], measure: str, least: float = MARGIN) -> Standing | None:
    """Who is best by `miou` or `auc`, over the seeds that all methods with a result have.

    Args:
        entries: the methods to compare.
        measure: `miou` or `auc`.
        least: difference that matters, in the measure's unit.

    Returns:
        None if no method has a result, or no seed is common.
    """
    values: dict[tuple[str, bool], BySeed] = {e.key: getattr(e, measure) for e in entries}
    ranked = [entry for entry in entries if values[entry.key]]
    if not ranked:
        return None
    common = sorted(set.intersection(*(set(values[entry.key]) for entry in ranked)))
    if not common:
        return None
    shared = {e.key: {seed: values[e.key][seed] for seed in common} for e in ranked}
    means = {key: mean_and_spread(list(by_seed.values()))[0] for key, by_seed in shared.items()}
    against = {(e.ssl, e.reference): e for e in reversed(ranked)}
    measured = [e for e in ranked if not e.reference and (e.ssl, True) in against]

    def margin(best: Entry, other: Entry, comparisons: int) -> Margin:
        pair = shared[best.key], shared[other.key]
        return Margin(other, difference(*pair, comparisons=comparisons, margin=least))

    best, *rest = sorted(ranked, key=lambda entry: -means[entry.key])
    random = None if best.reference else against.get((best.ssl, True))
    return Standing(
        best=best,
        mean=means[best.key],
        seeds=tuple(common),
        over_next=margin(best, rest[0], len(rest)) if rest else None,
        over_random=margin(best, random, len(measured)) if random else None,
    )


def class_iou(classes: DataFrame, cycle: int) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """Class names and their IoU in percent, mean over the seeds in which the class is known.

    Args:
        classes: rows of classes.csv of one method in one comparison.
        cycle: of the labelled sets.

    Returns:
        Two tuples of C items, NaN for a class absent in all seeds; empty if nothing is finished.
    """
    here = classes[classes["cycle"] == cycle]
    by_seed = [(list(rows["class"]), list(rows["iou"])) for _, rows in here.groupby("seed")]
    if not by_seed:
        return (), ()
    ious = zip(*(iou for _, iou in by_seed), strict=True)
    means = (mean_and_spread([v for v in values if not math.isnan(v)])[0] for values in ious)
    return tuple(by_seed[0][0]), tuple(means)


def _place(setting: Setting) -> tuple[str, str, str]:
    return setting.dataset, setting.pool, setting.budget


def _by_method(runs: Iterable[Run]) -> dict[tuple[str, bool], list[Run]]:
    groups: dict[tuple[str, bool], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.method, run.ssl), []).append(run)
    return groups


def _entry(
    runs: Sequence[Run],
    at: float,
    references: set[str],
    points: Mapping[tuple[object, ...], float],
    areas: Mapping[tuple[object, ...], float],
    predicted: Mapping[tuple[object, ...], PredictedClasses],
) -> Entry:
    first = runs[0]
    curve: dict[int, dict[int, float]] = {}
    for run in runs:
        for labelled in run.sets:
            miou = points.get((*_identity(run), labelled.cycle), math.nan)
            if not math.isnan(miou):
                curve.setdefault(labelled.cycle, {})[run.seed] = miou
    cycle = 0 if first.family == "full" else cycle_at(first.budget_percent, at)
    found = {run.seed: areas.get(_identity(run), math.nan) for run in runs}
    return Entry(
        method=first.method,
        family=first.family,
        ssl=first.ssl,
        reference=first.family == "random" and first.method in references,
        seeds=tuple(run.seed for run in runs),
        curve=curve,
        miou={} if cycle is None else curve.get(cycle, {}),
        auc={seed: auc for seed, auc in found.items() if not math.isnan(auc)},
        predicted={
            run.seed: predicted[(*_identity(run), cycle)]
            for run in runs
            if (*_identity(run), cycle) in predicted
        },
    )


_RUN = ["dataset", "pool", "budget", "method", "ssl", "mc_dropout", "seed"]


def _identity(run: Run) -> tuple[object, ...]:
    return tuple(getattr(run, column) for column in _RUN)


def _points(results: Results) -> dict[tuple[object, ...], float]:
    frame = results.sets[[*_RUN, "cycle", "miou"]]
    return {row[:-1]: row[-1] for row in frame.itertuples(index=False, name=None)}


def _areas(results: Results) -> dict[tuple[object, ...], float]:
    frame = results.runs[[*_RUN, "auc"]]
    return {row[:-1]: row[-1] for row in frame.itertuples(index=False, name=None)}
