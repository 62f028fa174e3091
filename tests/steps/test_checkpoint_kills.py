"""A train step killed at every named point of its checkpoints and its saving: the same bytes."""

from __future__ import annotations

import random
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from factories.performed_steps import Performed, study
from fakes.forked_steps import Trainer
from fakes.trainer import KILLED

from alspec.plan.expand import expand
from alspec.plan.kinds import TRAIN
from alspec.plan.step import Step
from alspec.store.store import Store

MADE = ("weights.safetensors", "epochs.csv")
OWN = re.compile(r"checkpoint\.|train\.|commit\.|file\.|sync$")
"""Points that a train step passes; those of checkpoints among them."""

INSIDE = {
    "checkpoint.state", "checkpoint.hash", "checkpoint.write", "file.open", "file.write",
    "file.sync", "file.rename", "file.renamed", "sync", "checkpoint.verify", "checkpoint.remove",
    "checkpoint.saved", "checkpoint.clear", "train.progress", "train.save", "commit.draft",
    "commit.manifest", "commit.rename", "commit.renamed",
}  # fmt: skip


@pytest.fixture(scope="module")
def trainer() -> Any:
    one = Trainer()
    yield one
    one.close()


class Whole:
    """A train step that nobody killed, and the step's inputs."""

    def __init__(self, root: Path, trainer: Trainer) -> None:
        training = {"epochs": 5, "batch_size": 2, "lr": 0.05, "crop": [24, 40]}
        plan = expand(study(methods=["random"], ssl=[False], baselines=[], training=training))
        performed = Performed(root / "inputs", plan)
        (first, *_) = plan.runs
        self.step: Step = plan.steps[first.sets[0].train]
        for step in plan.in_order():
            if step.key in self.step.inputs.values():
                performed.perform(step)
        assert self.step.kind is TRAIN
        self.inputs, self.trainer = performed.store, trainer
        self.store = self.fresh(root / "whole")
        self.said = trainer.perform(self.store, self.step.key)
        assert self.said["code"] == 0, self.said

    def fresh(self, root: Path) -> Store:
        store = Store(root)
        for key in self.step.inputs.values():
            shutil.copytree(self.inputs.home(key), store.home(key))
        store.write_recipe(self.step.to_json())
        return store

    def is_made(self, store: Store) -> bool:
        """The same bytes, and nothing else left."""
        made, expected = store.artifacts(self.step.key), self.store.artifacts(self.step.key)
        store.verify(self.step.key)
        left = [*store.root.glob("drafts/*"), *store.root.glob("checkpoints/*")]
        return all(made[name] == expected[name] for name in MADE) and not left


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, trainer: Trainer) -> Whole:
    return Whole(tmp_path_factory.mktemp("kills"), trainer)


def kept(store: Store, key: str) -> int:
    """The iteration of the newest checkpoint; 0 if there is none."""
    return max((int(path.name[:10]) for path in store.checkpoints(key).glob("[0-9]*")), default=0)


def kills(whole: Whole) -> list[tuple[str, int]]:
    return [
        (point, n)
        for point, passes in sorted(whole.said["passed"].items())
        if OWN.match(point)
        for n in range(1, passes + 1)
    ]


def check(whole: Whole, root: Path, point: str, n: int) -> None:
    key, case = whole.step.key, f"killed at {point}, pass {n}"
    store = whole.fresh(root / f"{point}-{n}")
    said = whole.trainer.perform(store, key, fault=f"{point}:{n}:kill")
    assert said["code"] == KILLED, case
    done, position = store.is_done(key), kept(store, key)
    assert done or position >= max(said["told"], default=1) - 1, f"{case}: iterations are lost"
    said = whole.trainer.perform(store, key)
    assert said["code"] == 0, (case, said)
    if not done:
        assert said["told"] == list(range(position + 1, whole.said["told"][-1] + 1)), case
    assert whole.is_made(store), case


def test_a_training_passes_every_point_of_its_checkpoints(whole: Whole) -> None:
    assert set(whole.said["passed"]) >= INSIDE
    assert whole.said["passed"]["checkpoint.state"] == whole.said["told"][-1] - 1
    assert len(kills(whole)) >= 100


FIRST = sorted(INSIDE)[::2]


@pytest.mark.parametrize(
    "points", [FIRST, pytest.param(sorted(INSIDE - set(FIRST)), marks=pytest.mark.slow)]
)
def test_killed_once_at_each_point(whole: Whole, tmp_path: Path, points: list[str]) -> None:
    rng = random.Random(0)
    for point in points:
        check(whole, tmp_path, point, 1 + rng.randrange(whole.said["passed"][point]))


@pytest.mark.slow
def test_killed_at_every_pass_of_every_point(whole: Whole, tmp_path: Path) -> None:
    for point, n in kills(whole):
        check(whole, tmp_path, point, n)


@pytest.mark.parametrize(
    "again",
    [
        "checkpoint.restore:1",
        "checkpoint.write:1",
        pytest.param("checkpoint.read:1", marks=pytest.mark.slow),
        pytest.param("train.save:1", marks=pytest.mark.slow),
    ],
)
def test_killed_again_while_it_goes_on(whole: Whole, tmp_path: Path, again: str) -> None:
    store, key = whole.fresh(tmp_path / "store"), whole.step.key
    assert whole.trainer.perform(store, key, fault="file.sync:3:kill")["code"] == KILLED
    position = kept(store, key)
    assert position
    assert whole.trainer.perform(store, key, fault=f"{again}:kill")["code"] == KILLED
    assert kept(store, key) >= position
    assert whole.trainer.perform(store, key)["code"] == 0
    assert whole.is_made(store)


CAUSES = {
    "ENOSPC": "No space left on device", "EDQUOT": "quota exceeded", "EIO": "Input/output error",
    "EACCES": "Permission denied", "EROFS": "Read-only file system",
}  # fmt: skip


POINTS = (
    "checkpoint.state", "checkpoint.write", "file.open", "file.write", "file.sync", "file.rename",
    "sync", "checkpoint.verify", "checkpoint.remove",
)  # fmt: skip
ALL = [(point, cause) for point in POINTS for cause in CAUSES]
SOME = {(point, list(CAUSES)[number % len(CAUSES)]) for number, point in enumerate(POINTS[::2])}


@pytest.mark.parametrize(
    ("point", "cause"),
    [pytest.param(*one, marks=[] if one in SOME else pytest.mark.slow) for one in ALL],
)
def test_a_checkpoint_that_cannot_be_written_is_told_and_the_training_goes_on(
    whole: Whole, tmp_path: Path, point: str, cause: str
) -> None:
    store = whole.fresh(tmp_path / "store")
    said = whole.trainer.perform(store, whole.step.key, fault=f"{point}:2:{cause}")
    assert said["code"] == 0, said
    (warning,) = said["warnings"]
    assert re.match(r"no checkpoint at iteration \d, the training continues: ", warning)
    assert CAUSES[cause] in warning
    assert str(store.checkpoints(whole.step.key)) in warning
    assert whole.is_made(store)
