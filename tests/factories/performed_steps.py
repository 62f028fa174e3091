"""A toy study whose steps are really performed, shared by the tests of the steps."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from alspec.plan.dag import Plan, Run
from alspec.plan.step import Step, StepKey
from alspec.run.executors.worker import work_on
from alspec.spec.model import Study
from alspec.steps.work import StepContext, WorkerContext
from alspec.store.store import Store
from factories import images  # noqa: F401

CPU = torch.device("cpu")
METHODS = ("random", "uniform", "entropy", "equal", "coreset", "herding", "bald")
SIZE = (32, 48)


def study(**changes: Any) -> Study:
    toy = {
        "name": "street", "kind": "toy", "image_size": SIZE, "sequences": 2, "frames": 6,
        "val_sequences": 1, "val_frames": 3,
    }  # fmt: skip
    return Study.model_validate(
        {
            "study": "steps",
            "datasets": [toy],
            "budgets": [{"name": "b", "unit": "images", "initial": 3, "step": 2, "cycles": 2}],
            "methods": [*METHODS[:-1], {"name": "bald", "passes": 2}],
            "ssl": [False],
            "seeds": [0],
            "model": "deeplabv3plus_tiny",
            "training": {"epochs": 3, "batch_size": 2, "lr": 0.05, "crop": [24, 40]},
            **changes,
        }
    )


def nothing(done: int, total: int) -> None:
    """Progress that nobody watches."""


class Performed:
    """A store and the steps done in it."""

    def __init__(self, root: Path, plan: Plan) -> None:
        self.store, self.plan, self.worker_context = Store(root), plan, WorkerContext(CPU)
        self.progress: list[tuple[int, int]] = []

    def perform(self, step: Step) -> None:
        with mock.patch("os.fsync"):
            work_on(step, self.store, self.worker_context, lambda *told: self.progress.append(told))

    def perform_all(self) -> None:
        for step in self.plan.in_order():
            self.perform(step)

    def run_of(self, method: str, dropout: bool = False) -> Run:
        (found,) = [
            run for run in self.plan.runs if run.method == method and run.mc_dropout == dropout
        ]
        return found

    def labelled(self, key: StepKey | None) -> list[str]:
        assert key
        return self.store.read_lines(key, "labelled.txt")

    def work(self, step: Step, folder: Path) -> StepContext:
        return StepContext(step, self.store, folder, self.worker_context, nothing)

    def pool_ids(self) -> list[str]:
        path = self.store.file(self.plan.settings[0].pool_step, "pool.csv")
        with path.open(newline="") as file:
            return [row["id"] for row in csv.DictReader(file)]
