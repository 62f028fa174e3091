"""The worker's own process, spoken to as the local executor does."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import weakref
from itertools import islice
from pathlib import Path

import pytest
import torch
from factories.performed_steps import Performed, study

from alspec.plan.expand import expand
from alspec.plan.kinds import TRAIN
from alspec.run.executors import worker
from alspec.run.executors.worker import KEEP_ITERATIONS, work_on
from alspec.steps.work import WorkerContext
from alspec.store.store import Store
from alspec.system import failpoints
from alspec.system.interpreter import python_command, python_environment

FULL = Path("/dev/full")


def ask(store, keys, log, **environment):
    """What a worker with a loader worker says to these keys; its standard error goes to `log`."""
    command = [sys.executable, "-m", "alspec.run.executors.worker", "--store", str(store.root)]
    process = subprocess.Popen(
        [*command, "--device", "cpu", "--loader-workers", "1"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        start_new_session=True,
        env={**os.environ, **environment},
    )
    try:
        process.stdin.write("".join(f"{key}\n" for key in keys))
        process.stdin.flush()
        told = (json.loads(line) for line in process.stdout)
        said = (one for one in told if one["event"] != "progress")
        return list(islice(said, 1 + len(keys)))
    finally:
        process.stdin.close()
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A store with a finished training, and its step."""
    training = {"epochs": 2, "batch_size": 2, "lr": 0.05, "crop": [24, 40]}
    plan = expand(study(methods=["random"], baselines=[], training=training))
    performed = Performed(tmp_path_factory.mktemp("whole"), plan)
    step = plan.steps[plan.runs[0].sets[0].train]
    for key in (*step.inputs.values(), step.key):
        performed.perform(plan.steps[key])
    assert step.kind is TRAIN
    return performed.store, step


def before_training(trained, root):
    store, step = trained
    fresh = Store(root)
    for key in step.inputs.values():
        shutil.copytree(store.home(key), fresh.home(key))
    fresh.write_recipe(step.to_json())
    return fresh


@pytest.mark.parametrize(("said", "meant"), [("", None), ("0", None), ("12", 12)])
def test_iterations_between_checkpoints_come_from_the_environment(monkeypatch, said, meant):
    monkeypatch.setenv(KEEP_ITERATIONS, said)
    assert worker.iterations_to_keep_after() == meant


@pytest.mark.parametrize("said", ["often", "-1", "1.5"])
def test_what_is_no_number_of_iterations_ends_the_worker_with_a_reason(monkeypatch, said):
    monkeypatch.setenv(KEEP_ITERATIONS, said)
    with pytest.raises(SystemExit, match=f"^{KEEP_ITERATIONS}={said}: expected a number"):
        worker.iterations_to_keep_after()


@pytest.mark.slow
@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
def test_it_trains_with_loader_workers_and_where_its_log_has_no_room(trained, tmp_path):
    """A fork closes standard input, which a thread reads; and a note that is lost fails no step."""
    whole, step = trained
    store = before_training(trained, tmp_path)
    (store.root / "checkpoints").write_text("in the way")  # so that every checkpoint is warned of
    with FULL.open("w") as log:
        said = ask(store, [step.key, "f" * 64], log, **{KEEP_ITERATIONS: "1"})
    assert [one["event"] for one in said] == ["ready", "done", "failed"]
    assert said[1]["message"].startswith("no checkpoint at iteration 1, the training continues: ")
    assert "no readable recipe" in said[2]["message"]
    made, expected = store.artifacts(step.key), whole.artifacts(step.key)
    assert made["weights.safetensors"] == expected["weights.safetensors"]


OUT_OF_MEMORY = {
    "cuda": torch.OutOfMemoryError(
        "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.10 GiB "
        "of which 1.50 GiB is free. Including non-PyTorch memory, this process has 70 GiB."
    ),
    "library": RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    "processor": RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate"),
    "python": MemoryError(),
}


@pytest.mark.parametrize("kind", OUT_OF_MEMORY)
def test_memory_that_ran_out_is_told_with_what_to_do(kind):
    err = OUT_OF_MEMORY[kind]
    said = worker.words_of(err, "cpu")
    assert said.startswith("cpu ran out of memory (")
    assert said.endswith("run again")
    assert "training.batch_size" in said
    assert (str(err).split(". ")[0] or "MemoryError") in said
    assert ("Tried to allocate 2.00 GiB. GPU 0" in said) == (kind == "cuda")
    assert "non-PyTorch" not in said


def test_what_a_step_held_is_freed_when_memory_ran_out():
    class Held:
        pass

    gone = []

    def step():
        held = Held()
        weakref.finalize(held, gone.append, True)
        held.itself = held
        raise MemoryError

    try:
        step()
    except MemoryError as err:
        worker.words_of(err, "cpu")
        assert gone


def test_another_error_is_told_as_it_is():
    assert worker.words_of(ValueError("no such class"), "cpu") == "ValueError: no such class"


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGHUP, marks=pytest.mark.slow)]
)
def test_a_signal_to_the_whole_group_leaves_a_checkpoint(trained, tmp_path, number):
    """Schedulers and closing terminals signal a run and its workers alike; the worker just died."""
    whole, step = trained
    store = before_training(trained, tmp_path)
    process = subprocess.Popen(
        python_command(worker.__name__, ["--store", str(store.root), "--device", "cpu"]),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**python_environment(), failpoints.FAULT: "train.progress:1:stop"},
    )
    process.stdin.write(f"{step.key}\n")
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["event"] == "ready"
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
    os.kill(process.pid, number)
    process.stdin.close()  # as when the run ended first
    os.kill(process.pid, signal.SIGCONT)
    process.wait(60)
    process.stdout.close()
    assert len(list(store.checkpoints(step.key).iterdir())) == 1
    work_on(step, store, WorkerContext(torch.device("cpu")), lambda *_: None)
    made, expected = store.artifacts(step.key), whole.artifacts(step.key)
    assert made["weights.safetensors"] == expected["weights.safetensors"]
