"""What steps stored to be looked at: first picks, predictions beside truth, features in 2-D."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from alspec.plan.dag import LabelledSet, Plan, Run, Setting
from alspec.store.store import Store

PICKS, EXAMPLES, EMBEDDING = "picks.jpg", "examples.jpg", "embedding.csv"

MOST_SHEETS = 40
"""Contact sheets and prediction sheets of a report, so that it stays below its size."""

Arm: TypeAlias = tuple[str, str, str, bool, bool]
"""Dataset, pool, budget, SSL, MC-dropout."""

Point: TypeAlias = tuple[str, float, float]
"""An image and its two coordinates."""


@dataclass(frozen=True)
class Embedding:
    """The pool as the model of the initial set sees it, and what each method chose first.

    Attributes:
        points: images of the pool in two dimensions.
        initial: the initial set.
        chosen: the first batch by method.
    """

    points: Sequence[Point]
    initial: frozenset[str]
    chosen: Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class Illustrations:
    """All of a study, of the first seed of each method.

    Attributes:
        embeddings: by arm; all methods of an arm choose first from one model.
        picks: JPEG of the first picks, by arm and method.
        examples: JPEG of pixels, truth and prediction at the last labelled set, by arm and method.
    """

    embeddings: Mapping[Arm, Embedding] = field(default_factory=dict)
    picks: Mapping[tuple[Arm, str], bytes] = field(default_factory=dict)
    examples: Mapping[tuple[Arm, str], bytes] = field(default_factory=dict)


def arm_of(setting: Setting, ssl: bool, mc_dropout: bool) -> Arm:
    """The arm of a setting."""
    return setting.dataset, setting.pool, setting.budget, ssl, mc_dropout


def read_illustrations(plan: Plan, store: Store) -> Illustrations:
    """What the finished steps of a study have to be looked at.

    Raises:
        StoreError: an artifact is corrupt.
    """
    embeddings: dict[Arm, Embedding] = {}
    picks: dict[tuple[Arm, str], bytes] = {}
    examples: dict[tuple[Arm, str], bytes] = {}
    for run in _first_seeds(plan):
        arm = run.dataset, run.pool, run.budget, run.ssl, run.mc_dropout
        done = [labelled for labelled in run.sets if store.is_done(labelled.evaluate)]
        if len(picks) < MOST_SHEETS and (sheet := _sheet(run, store)):
            picks[arm, run.method] = sheet
        if done and len(examples) < MOST_SHEETS:
            data = _bytes(store, done[-1].evaluate, EXAMPLES)
            examples |= {(arm, run.method): data} if data else {}
        if arm not in embeddings and (points := _points(store, _first(run))):
            embeddings[arm] = _embedding(plan, store, arm, points)
    return Illustrations(embeddings, picks, examples)


def _first_seeds(plan: Plan) -> Iterator[Run]:
    seen: set[tuple[object, ...]] = set()
    for run in plan.runs:
        who = (run.dataset, run.pool, run.budget, run.ssl, run.mc_dropout, run.method)
        if who not in seen:
            seen.add(who)
            yield run


def _first(run: Run) -> str | None:
    """The step of a run's first own choice."""
    return run.sets[1].acquire if len(run.sets) > 1 else None


def _sheet(run: Run, store: Store) -> bytes | None:
    """The first picks; of a method that looks at no image, the training that follows stored them.

    Stores of before have none of such methods.
    """
    if len(run.sets) < 2:
        return None
    first = run.sets[1]
    return _bytes(store, first.acquire, PICKS) or _bytes(store, first.train, PICKS)


def _bytes(store: Store, key: str | None, name: str) -> bytes | None:
    if key is None or not store.holds(key, name):
        return None
    return store.file(key, name).read_bytes()


def _points(store: Store, key: str | None) -> list[Point]:
    if key is None or not store.holds(key, EMBEDDING):
        return []
    with store.file(key, EMBEDDING).open(encoding="utf-8", newline="") as file:
        return [(row["id"], float(row["x"]), float(row["y"])) for row in csv.DictReader(file)]


def _embedding(plan: Plan, store: Store, arm: Arm, points: list[Point]) -> Embedding:
    chosen: dict[str, frozenset[str]] = {}
    initial: frozenset[str] = frozenset()
    for run in _first_seeds(plan):
        if (run.dataset, run.pool, run.budget, run.ssl, run.mc_dropout) == arm:
            before, *after = (_labelled(store, labelled) for labelled in run.sets[:2])
            if before and after and after[0]:
                initial = before
                chosen[run.method] = after[0] - before
    return Embedding(points, initial, chosen)


def _labelled(store: Store, labelled: LabelledSet) -> frozenset[str]:
    if labelled.acquire is None or not store.is_done(labelled.acquire):
        return frozenset()
    return frozenset(store.read_lines(labelled.acquire, "labelled.txt"))
