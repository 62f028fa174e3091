"""A disk that fails at any write of a real step: told with path and cause, nothing half-written."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories.performed_steps import Performed, study

from alspec.plan.expand import expand
from alspec.plan.step import Step
from alspec.system import failpoints
from alspec.system.atomic import describe_os_error, write_array

CAUSES = ("ENOSPC", "EDQUOT", "EIO", "EACCES", "EROFS")
ADVICE = ("Free some of its disk", "Free some of your quota", "Repair its disk",
          "Correct its permissions", "Mount its disk for writing")  # fmt: skip
STEPS = ("pool", "initial set", "train", "evaluate", "bald", "coreset")
HOSTS = {"train.json", "evaluate.json", "acquire.json"}
"""Artifacts with seconds in them."""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Performed:
    """A study with every step done that the cases make again."""
    methods = [{"name": "bald", "passes": 2}, "coreset"]
    training = {"epochs": 1, "batch_size": 2, "lr": 0.05, "crop": [24, 40]}
    plan = expand(study(methods=methods, baselines=[], training=training))
    performed = Performed(tmp_path_factory.mktemp("store"), plan)
    performed.perform_all()
    return performed


def step_of(done: Performed, name: str) -> Step:
    run = done.run_of(name if name in ("bald", "coreset") else "bald", dropout=name != "coreset")
    zero, one = run.sets
    keys = {
        "pool": done.plan.settings[0].pool_step, "initial set": zero.acquire, "train": zero.train,
        "evaluate": zero.evaluate, "bald": one.acquire, "coreset": one.acquire,
    }  # fmt: skip
    key = keys[name]
    assert key
    return done.plan.steps[key]


@pytest.fixture
def again(done: Performed, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Performs a step again with a fault; what it raised, and how often points were passed."""

    def perform(step: Step, fault: str) -> tuple[OSError | None, dict[str, int]]:
        shutil.rmtree(done.store.home(step.key), ignore_errors=True)
        monkeypatch.setattr(failpoints, "passed", failpoints.Counter())
        monkeypatch.setenv(failpoints.FAULT, fault)
        try:
            done.perform(step)
        except OSError as err:
            return err, dict(failpoints.passed)
        finally:
            monkeypatch.delenv(failpoints.FAULT)
        return None, dict(failpoints.passed)

    return perform


def check(done: Performed, again: Any, step: Step, case: tuple[str, int, str]) -> None:
    point, n, cause = case
    err, _ = again(step, f"{point}:{n}:{cause}")
    assert isinstance(err, OSError), case
    assert err.errno == getattr(errno, cause), case
    if not point.endswith(".progress") and point != "checkpoint.clear":
        assert str(done.store.root) in str(err.filename), case
    words = describe_os_error(err)
    assert os.strerror(err.errno) in words, case
    assert words.endswith(f"{ADVICE[CAUSES.index(cause)]} and run again"), case
    if done.store.is_done(step.key):  # the fault came after the commit
        assert point in ("commit.renamed", "sync", "checkpoint.clear", "file.renamed"), case
        done.store.verify(step.key)
    else:
        assert not done.store.home(step.key).exists(), case
    assert list((done.store.root / "drafts").iterdir()) == [], case


@pytest.mark.parametrize("many", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", STEPS)
def test_a_fault_at_each_write_of_a_step(done: Performed, again: Any, name: str, many: bool):
    step = step_of(done, name)
    whole = dict(done.store.artifacts(step.key))
    err, passed = again(step, "none:0:kill")
    assert err is None
    cases = [
        (point, n, cause)
        for number, (point, passes) in enumerate(sorted(passed.items()))
        for n in (range(1, passes + 1) if many else {1 + number % passes})
        for cause in (CAUSES if many else [CAUSES[number % len(CAUSES)]])
    ]
    assert len(cases) >= (100 if many else 10)
    for case in cases:
        check(done, again, step, case)
    err, _ = again(step, "none:0:kill")
    assert err is None
    made = done.store.artifacts(step.key)
    assert made.keys() == whole.keys()
    assert all(made[file] == whole[file] for file in made.keys() - HOSTS)
    assert not list(done.store.root.glob("checkpoints/*"))


def test_a_full_disk_is_told_with_what_is_needed_and_what_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failpoints, "passed", failpoints.Counter())
    monkeypatch.setenv(failpoints.FAULT, "file.write:1:ENOSPC")
    path = tmp_path / "matrix.npy"
    with pytest.raises(OSError, match="No space left") as caught:
        write_array(path, np.zeros((100, 100)))
    assert caught.value.filename == str(path)
    expected = r"matrix\.npy: No space left on device: 80,128 bytes to write, [\d,]+ free\. Free"
    with pytest.raises(OSError, match=expected):
        raise OSError(describe_os_error(caught.value))
    assert list(tmp_path.iterdir()) == []


def test_an_array_of_objects_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        write_array(tmp_path / "matrix.npy", np.array([object()]))
    assert list(tmp_path.iterdir()) == []
