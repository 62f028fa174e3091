"""The worker's own process, spoken to as the local executor does."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
from made_steps import Performed, study

from alspec.plan.expand import expand
from alspec.plan.step import StepKind
from alspec.run.worker import KEEP_ITERATIONS
from alspec.store import Store

FULL = Path("/dev/full")


def ask(store, keys, log, **environment):
    """What a worker with a loader worker says to these keys; its standard error goes to `log`."""
    command = [sys.executable, "-m", "alspec.run.worker", "--store", str(store.root)]
    worker = subprocess.Popen(
        [*command, "--device", "cpu", "--loader-workers", "1"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        start_new_session=True,
        env={**os.environ, **environment},
    )
    try:
        worker.stdin.write("".join(f"{key}\n" for key in keys))
        worker.stdin.flush()
        told = (json.loads(line) for line in worker.stdout)
        said = (one for one in told if one["event"] != "progress")
        return list(islice(said, 1 + len(keys)))
    finally:
        worker.stdin.close()
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()
        worker.stdout.close()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A store with a finished training, and its step."""
    training = {"epochs": 2, "batch_size": 2, "lr": 0.05, "crop": [24, 40]}
    plan = expand(study(methods=["random"], baselines=[], training=training))
    performed = Performed(tmp_path_factory.mktemp("whole"), plan)
    step = plan.steps[plan.runs[0].sets[0].train]
    for key in (*step.inputs.values(), step.key):
        performed.perform(plan.steps[key])
    assert step.kind is StepKind.TRAIN
    return performed.store, step


def before_training(trained, root):
    store, step = trained
    fresh = Store(root)
    for key in step.inputs.values():
        shutil.copytree(store.home(key), fresh.home(key))
    fresh.write_recipe(step.to_json())
    return fresh


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
def test_it_trains_with_loader_workers_and_where_its_log_has_no_room(trained, tmp_path):
    """A fork closes standard input, which a thread reads; and a note that is lost fails no step."""
    whole, step = trained
    store = before_training(trained, tmp_path)
    (store.root / "checkpoints").write_text("in the way")  # so that every checkpoint is warned of
    with FULL.open("w") as log:
        said = ask(store, [step.key, "f" * 64], log, **{KEEP_ITERATIONS: "1"})
    assert [one["event"] for one in said] == ["ready", "done", "failed"]
    assert said[1]["message"].startswith("no checkpoint at iteration 1, the training goes on: ")
    assert "no readable recipe" in said[2]["message"]
    made, expected = store.artifacts(step.key), whole.artifacts(step.key)
    assert made["weights.safetensors"] == expected["weights.safetensors"]
