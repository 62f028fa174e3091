"""A train step on a real store: killed at any moment, it is made to the same bytes."""

from __future__ import annotations

import os
import random
import select
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from factories.performed_steps import CPU, Performed, study

from alspec.errors import Interrupted, StepFailed
from alspec.plan.dag import Plan
from alspec.plan.expand import expand
from alspec.plan.kinds import TRAIN
from alspec.plan.step import Step
from alspec.run.executors.worker import work_on
from alspec.run.loop import run
from alspec.steps import acquire, pool_outputs
from alspec.steps.work import WorkerContext
from alspec.store.store import Store

MADE = ("weights.safetensors", "epochs.csv")
SCRIPT = """
import sys
from pathlib import Path
from alspec.run.executors import worker
from alspec.store.store import Store
store = Store(Path(sys.argv[1]))
worker_context = worker.prepare("cpu")
worker_context.checkpoint_iterations = 1
def progress(done, total):
    print(done, flush=True)
worker.work_on(worker.described_step(store, sys.argv[2]), store, worker_context, progress)
"""


def before_training(performed: Performed, root: Path, method: str) -> tuple[Store, Step]:
    """A store with what a train step reads, and the step."""
    labelled = performed.run_of(method, dropout=method == "bald").sets[1]
    step = performed.plan.steps[labelled.train]
    store = Store(root)
    for key in step.inputs.values():
        shutil.copytree(performed.store.home(key), store.home(key))
    return store, step


def same_bytes(performed: Performed, store: Store, step: Step) -> bool:
    made, expected = store.artifacts(step.key), performed.store.artifacts(step.key)
    return all(made[name] == expected[name] for name in MADE)


def test_a_stopped_step_is_finished_to_the_same_bytes_and_leaves_no_checkpoint(
    performed: Performed, tmp_path: Path
) -> None:
    store, step = before_training(performed, tmp_path, "bald")
    worker_context = WorkerContext(CPU)
    told: list[int] = []

    def stop_at_three(done: int, total: int) -> None:
        if done == 3:
            worker_context.stop.set()

    with pytest.raises(Interrupted):
        work_on(step, store, worker_context, stop_at_three)
    assert not store.is_done(step.key)
    assert len(list(store.checkpoints(step.key).iterdir())) == 1
    assert list((tmp_path / "drafts").iterdir()) == []
    torch.manual_seed(5)
    work_on(step, store, WorkerContext(CPU), lambda done, total: told.append(done))
    assert told[0] == 4
    assert same_bytes(performed, store, step)
    assert not store.checkpoints(step.key).exists()


def test_a_diverged_training_keeps_no_checkpoint(performed: Performed, tmp_path: Path) -> None:
    store, step = before_training(performed, tmp_path, "random")
    params = {**step.params, "training": {**step.params["training"], "lr": 1e30}}
    diverging = Step(step.kind, params, step.inputs, step.local_paths, step.label)
    with pytest.raises(StepFailed, match="not finite from iteration"):
        work_on(
            diverging, store, WorkerContext(CPU, checkpoint_iterations=1), lambda done, total: None
        )
    assert not store.checkpoints(diverging.key).exists()


def test_checkpoints_of_finished_trainings_are_swept_and_others_stay(
    performed: Performed, tmp_path: Path
) -> None:
    store = Store(tmp_path)
    done = next(s for s in performed.plan.in_order() if s.kind is TRAIN)
    shutil.copytree(performed.store.home(done.key), store.home(done.key))
    for key in (done.key, "f" * 64):
        store.checkpoints(key).mkdir(parents=True)
    whole: Any = performed.plan
    run(Plan(**{**vars(whole), "steps": {}, "runs": ()}), store, None, None)  # type: ignore[arg-type]
    assert [folder.name for folder in store.checkpointed()] == ["f" * 64]


def test_features_that_are_not_finite_fail_the_step_and_name_image_and_package(
    performed: Performed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = performed.run_of("coreset").sets[1].acquire
    assert chosen
    original = pool_outputs.load_trained

    def broken(*args: Any) -> Any:
        segmentor = original(*args)
        for parameter in segmentor.decode_head.bottleneck.parameters():
            parameter.data.fill_(float("nan"))
        return segmentor

    monkeypatch.setattr(pool_outputs, "load_trained", broken)
    with pytest.raises(StepFailed, match=r"not finite, the first of pool/.*`coreset` of alspec"):
        acquire.perform(performed.work(performed.plan.steps[chosen], tmp_path))
    assert not (tmp_path / "selected.txt").exists()


def start(store: Store, key: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(store.root), key],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )


def killed_after(process: subprocess.Popen[str], iterations: int, wait: float) -> bool:
    """Kills a worker some moment after it has told of some iterations; whether it was alive."""
    assert process.stdout
    for _ in range(iterations):
        if not process.stdout.readline():
            break
    ended = select.select([os.pidfd_open(process.pid)], [], [], wait)[0]
    process.kill()
    process.wait()
    process.stdout.close()
    return not ended


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux")
@pytest.mark.parametrize("ssl", [False, True])
def test_kill_9_at_twelve_moments_inside_training_and_saving(tmp_path: Path, ssl: bool) -> None:
    """Checkpoints come after every iteration, so about half of the kills hit their writing."""
    plan = expand(
        study(
            methods=["random"] if ssl else [{"name": "bald", "passes": 2}],
            ssl=[ssl],
            baselines=[],
            training={"epochs": 60, "batch_size": 2, "lr": 0.05, "crop": [24, 40]},
        )
    )
    whole = Performed(tmp_path / "whole", plan)
    chosen = plan.runs[-1].sets[0]
    for step in plan.in_order():
        if step.key in {plan.settings[0].pool_step, chosen.acquire, chosen.train}:
            whole.perform(step)
    step = plan.steps[chosen.train]
    store = Store(tmp_path / "killed")
    for key in step.inputs.values():
        shutil.copytree(whole.store.home(key), store.home(key))
    store.write_recipe(step.to_json())
    moments = random.Random(7)
    for number in range(12):
        assert killed_after(start(store, step.key), 1 + number % 3, moments.uniform(0, 0.06))
        assert not store.is_done(step.key)
    process = start(store, step.key)
    out, _ = process.communicate()
    assert process.returncode == 0
    assert int(out.split()[0]) > 6, "it did not go on from a checkpoint"
    assert same_bytes(whole, store, step)
    assert not store.checkpoints(step.key).exists()
    assert list((store.root / "drafts").iterdir()) == []


def test_swapped_checkpoints_are_none_of_a_training_s_own(
    performed: Performed, tmp_path: Path
) -> None:
    """Two trainings of one shape: each went on from the other's weights, and ended with exit 0."""
    left: dict[str, tuple[Store, Step]] = {}
    for method in ("entropy", "coreset"):
        store, step = before_training(performed, tmp_path / method, method)
        interrupt(store, step)
        left[method] = store, step
    homes = [store.checkpoints(step.key) for store, step in left.values()]
    homes[0].rename(tmp_path / "aside")
    homes[1].rename(homes[0])
    (tmp_path / "aside").rename(homes[1])
    for store, step in left.values():
        first: list[int] = []
        work_on(step, store, WorkerContext(CPU), lambda done, _, first=first: first.append(done))
        assert first[0] == 1  # from the start: the checkpoint was another training's
        assert same_bytes(performed, store, step)


@pytest.mark.parametrize("change", ["position", "link"])
def test_a_checkpoint_that_is_not_what_its_name_says_is_not_gone_on_from(
    performed: Performed, tmp_path: Path, change: str
) -> None:
    store, step = before_training(performed, tmp_path / "store", "entropy")
    interrupt(store, step)
    for path in sorted(store.checkpoints(step.key).iterdir()):
        if change == "position":
            path.rename(path.with_name(f"0000000004-{path.name.partition('-')[2]}"))
        else:
            path.rename(tmp_path / path.name)
            path.symlink_to(tmp_path / path.name)
    first: list[int] = []
    work_on(step, store, WorkerContext(CPU), lambda done, _: first.append(done))
    assert first[0] == 1
    assert same_bytes(performed, store, step)


def interrupt(store: Store, step: Step) -> None:
    """Stop a training after its third iteration, with a checkpoint."""
    worker_context = WorkerContext(CPU)

    def stop_at_three(done: int, total: int) -> None:
        if done == 3:
            worker_context.stop.set()

    with pytest.raises(Interrupted):
        work_on(step, store, worker_context, stop_at_three)
    assert list(store.checkpoints(step.key).iterdir())
