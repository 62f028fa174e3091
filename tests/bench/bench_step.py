"""What a step costs beside its own work in a warm worker: at most 0.2 s."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import mean, median
from typing import Any

from figure import Figure

from alspec.plan.dag import Plan
from alspec.plan.expand import expand
from alspec.plan.kinds import TRAIN
from alspec.plan.step import StepKey
from alspec.run.executors.base import Workplace
from alspec.run.executors.local import LocalExecutor
from alspec.run.loop import run
from alspec.spec.model import Study
from alspec.store.store import Store

LIMIT = 0.2

SPEC = {
    "study": "steps",
    "datasets": [
        {"name": "toy", "kind": "toy", "image_size": [32, 64], "sequences": 2, "frames": 8,
         "val_sequences": 1, "val_frames": 1}
    ],
    "budgets": [{"name": "b", "unit": "images", "initial": 2, "step": 2, "cycles": 3}],
    "methods": ["random", "entropy", "coreset"],
    "ssl": [False],
    "baselines": [],
    "seeds": [0, 1, 2],
    "model": "deeplabv3plus_tiny",
    "training": {"epochs": 1, "batch_size": 2, "lr": 0.01},
}  # fmt: skip
"""Trainings of one to three iterations, a validation image, a pool of 16 images."""


class Clock:
    """An observer that notes when each step ended."""

    def __init__(self) -> None:
        self.ends: list[tuple[float, StepKey]] = []

    def started(self, step: Any) -> None:
        """Nothing to note."""

    def progressed(self, step: Any, done: int, total: int) -> None:
        """Nothing to note."""

    def ended(self, step: Any, outcome: Any, message: str, log: str) -> None:
        """Note the time."""
        self.ends.append((time.perf_counter(), step.key))

    def held(self, step: Any, holder: Any) -> None:
        """Nothing to note."""

    def idle(self) -> None:
        """Nothing to note."""


def own_seconds(plan: Plan, store: Store, key: StepKey) -> float:
    """The time that a training's loop took; of other steps all counts as added."""
    if plan.steps[key].kind is not TRAIN:
        return 0.0
    return float(store.read_json(key, "train.json")["seconds"])


def figures() -> Iterator[Figure]:
    """One worker takes all steps of a study; from the end of its first training on, each is timed.

    A step is everything from the end of the one before: the loop, the lease, the recipe, the way
    to the worker and back, the model built, weights written, hashed and synced. Only the loops of
    the trainings are taken off, so scoring and measuring a few images counts as added.
    """
    plan = expand(Study.model_validate(SPEC))
    with tempfile.TemporaryDirectory() as folder:
        store, clock = Store(Path(folder) / ".store"), Clock()
        executor = LocalExecutor(Workplace(store.root, ["cpu"], Path(folder) / "logs"))
        try:
            summary = run(plan, store, executor, clock)
        finally:
            executor.close()
        assert not summary.failed, summary.failed
        kinds = [plan.steps[key].kind for _, key in clock.ends]
        warm = clock.ends[kinds.index(TRAIN) :]
        added = [
            end - before - own_seconds(plan, store, key)
            for (before, _), (end, key) in pairwise(warm)
        ]
    took = mean(added)
    measured = f"{took:.3f} s of {LIMIT} s, mean of {len(added)} steps (median {median(added):.3f})"
    yield Figure("step", LIMIT / took, 1, measured)
