"""An audit of what methods chose: views, near-copies, sequences, classes, overlap of methods."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from alspec.plan.dag import Plan, Run, Setting
from alspec.plan.kinds.acquire import LABELLED
from alspec.plan.kinds.pool import IMAGES
from alspec.results.bought_classes import BoughtClasses, bought_classes
from alspec.store.store import Store

NEIGHBOURS = 2
"""Images of one sequence at most this far apart in the pool's time order count as one view."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What one method chose, mean over its finished seeds; the initial set is left out.

    Attributes:
        name: method with its arm, as `entropy-SSL`.
        mc_dropout: in the arm with dropout layers.
        images: chosen in a run, in all its batches.
        views: percent of them that no image chosen before in the run shows from nearby in time.
        near_copies: percent of a batch with a neighbour in time in the same batch.
        sequences: percent of the pool's sequences they come from.
        first: images of the first batch of the first seed, in the order of choice.
    """

    name: str
    mc_dropout: bool
    images: float
    views: float
    near_copies: float
    sequences: float
    first: tuple[str, ...]


@dataclass(frozen=True)
class SelectionAudit:
    """The choices in one setting.

    Attributes:
        rows: the methods, in plan order.
        overlap: percent of the images of two methods' choices that both chose (Jaccard), mean over
            the seeds that both have; by their places in `rows`, the lower first.
        pool_images: in the pool.
        classes: what classes the methods bought, in the order of `rows`; None where the pixels of
            the pool's masks were not counted.
    """

    rows: tuple[Chosen, ...]
    overlap: Mapping[tuple[int, int], float]
    pool_images: int
    classes: BoughtClasses | None = None


Places = Mapping[str, tuple[int, str]]
"""The place of an image in the pool's time order, and its sequence."""


def audit_of(plan: Plan, setting: Setting, store: Store) -> SelectionAudit | None:
    """The audit of a setting's finished acquisitions; None where there is nothing to audit.

    Raises:
        StoreError: an artifact is corrupt.
    """
    if not store.holds(setting.pool_step, IMAGES):
        return None
    with store.file(setting.pool_step, IMAGES).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    places = {row["id"]: (place, row["sequence"]) for place, row in enumerate(rows)}
    grouped: dict[tuple[str, bool], dict[int, list[list[str]]]] = {}
    for run in plan.runs:
        here = (run.dataset, run.pool, run.budget)
        if here == (setting.dataset, setting.pool, setting.budget) and run.family != "full":
            batches = _batches(run, store)
            if len(batches) > 1 and all(image in places for batch in batches for image in batch):
                grouped.setdefault(_whose(run), {})[run.seed] = batches
    if not grouped:
        return None
    sequences = len({sequence for _, sequence in places.values()})
    chosen = [
        _row(name, arm, list(by_seed.values()), places, sequences)
        for (name, arm), by_seed in grouped.items()
    ]
    rows_of = [
        [
            [places[image][0] for batch in batches[1:] for image in batch]
            for batches in each.values()
        ]
        for each in grouped.values()
    ]
    return SelectionAudit(
        rows=tuple(chosen),
        overlap=_overlaps(list(grouped.values())),
        pool_images=len(places),
        classes=bought_classes(plan, setting, store, rows_of),
    )


def _whose(run: Run) -> tuple[str, bool]:
    """Name and dropout arm of what chose; methods that need no model choose alike in every arm."""
    if run.family == "random":
        return run.method, False
    return run.method + ("-SSL" if run.ssl else ""), run.mc_dropout


def _batches(run: Run, store: Store) -> list[list[str]]:
    """The initial set and the batches of a run, as far as they are finished."""
    done = [s for s in run.sets if s.acquire and store.is_done(s.acquire)]
    if not done or not store.holds(str(done[-1].acquire), LABELLED):
        return []
    ids = store.read_lines(str(done[-1].acquire), LABELLED)
    ends = [0, *(labelled.labelled_images for labelled in done)]
    return [ids[start:end] for start, end in pairwise(ends)]


def _row(
    name: str, arm: bool, runs: Sequence[list[list[str]]], places: Places, sequences: int
) -> Chosen:
    views, copies, seen = [], [], []
    for initial, *batches in runs:
        own = [image for batch in batches for image in batch]
        views.append(100 * _new_views(initial, own, places) / max(1, len(own)))
        copies.append(fmean(100 * _near_copies(batch, places) for batch in batches))
        seen.append(100 * len({places[image][1] for image in own}) / max(1, sequences))
    return Chosen(
        name=name,
        mc_dropout=arm,
        images=fmean(sum(len(batch) for batch in batches[1:]) for batches in runs),
        views=fmean(views),
        near_copies=fmean(copies),
        sequences=fmean(seen),
        first=tuple(runs[0][1]),
    )


def _new_views(before: Iterable[str], chosen: Iterable[str], places: Places) -> int:
    """Chosen images with no image before them that is near in time."""
    taken = {(places[image][1], places[image][0]) for image in before}
    new = 0
    for image in chosen:
        place, sequence = places[image]
        near = ((sequence, place + d) for d in range(-NEIGHBOURS, NEIGHBOURS + 1))
        new += not any(each in taken for each in near)
        taken.add((sequence, place))
    return new


def _near_copies(batch: Sequence[str], places: Places) -> float:
    """Share of a batch, within [0, 1], with a neighbour in time in the batch."""
    ordered = sorted((places[image][1], places[image][0]) for image in batch)
    near = {
        each
        for one, other in pairwise(ordered)
        if one[0] == other[0] and other[1] - one[1] <= NEIGHBOURS
        for each in (one, other)
    }
    return len(near) / max(1, len(batch))


def _overlaps(
    grouped: Sequence[Mapping[int, list[list[str]]]],
) -> dict[tuple[int, int], float]:
    sets = [
        {seed: {image for batch in batches[1:] for image in batch} for seed, batches in g.items()}
        for g in grouped
    ]
    found = {}
    for one in range(len(sets)):
        for other in range(one + 1, len(sets)):
            common = sorted(set(sets[one]) & set(sets[other]))
            pairs = [(sets[one][seed], sets[other][seed]) for seed in common]
            shares = [100 * len(a & b) / len(a | b) for a, b in pairs if a | b]
            if shares:
                found[one, other] = fmean(shares)
    return found
