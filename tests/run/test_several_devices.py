"""Real runs whose trainings take two workers of the processor: hurt, and the same bytes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from factories.processes import has_ended
from factories.toy import TOY

from alspec.errors import AlspecError
from alspec.plan.kinds.train import WEIGHTS
from alspec.run.executors.worker import KEEP_ITERATIONS
from alspec.store.study_folder import StudyFolder

TRAINING = {"epochs": 10, "batch_size": 4, "lr": 0.01}
SPEC = {
    **TOY,
    "methods": ["random"],
    "ssl": [True],
    "baselines": [],
    "budgets": [{"name": "one", "unit": "images", "initial": 8, "step": 4, "cycles": 1}],
    "training": TRAINING,
    "execution": {"devices": 2},
}


def test_too_few_devices_are_told_before_anything_runs(tmp_path, monkeypatch, cli):
    monkeypatch.chdir(tmp_path)
    Path("study.yaml").write_text(yaml.safe_dump(SPEC))
    code, _, err = cli("run", "study.yaml", "--devices", "cpu:1")
    assert code == 2
    assert "study.yaml:" in err
    assert "a training takes 2 devices together, but `--devices` gives 1 (cpu)" in err
    assert not Path("work_dirs").exists()
    _, out, _ = cli("plan", "study.yaml", "--devices", "cpu:1")
    assert "a training takes 2 devices together, and 1 is here" in out
    code, _, err = cli("plan", "study.yaml", "--devices", "cpu:2", "--gpus", "1,4")
    assert code == 2
    assert "--gpus: `1`: a training takes 2 together" in err
    code, _, err = cli("plan", "study.yaml", "--devices", "cpu:1", "--calibrate")
    assert code == 2
    assert "a training takes 2 devices together" in err


def test_one_step_alone_is_not_given_several_devices(tmp_path, toy_study):
    from alspec.plan.expand import expand
    from alspec.run.one_step import do_step
    from alspec.store.store import Store

    plan = expand(toy_study(execution={"devices": 2}))
    wide = next(step for step in plan.steps.values() if step.devices > 1)
    with pytest.raises(AlspecError, match="takes 2 devices together, which `alspec run` gives it"):
        do_step(wide, Store(tmp_path), "cpu")


def begin(home: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "alspec", "run", "study.yaml", "--devices", "cpu:2"],
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", KEEP_ITERATIONS: "1"},
    )


def study_in(home: Path) -> Path:
    home.mkdir()
    (home / "study.yaml").write_text(yaml.safe_dump(SPEC))
    return home


def finished(home: Path) -> dict[str, bytes]:
    """Weights by key, when a run has ended well."""
    process = begin(home)
    _, err = process.communicate(timeout=500)
    assert process.returncode == 0, err
    store = StudyFolder(home / "work_dirs", "tiny").store.root
    return {path.parent.name: path.read_bytes() for path in store.glob(f"*/{WEIGHTS}")}


def checkpoints_in(home: Path) -> set[Path]:
    return set(home.glob("work_dirs/.store/checkpoints/*/*.safetensors"))


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    """When its training has written a checkpoint, the workers of a run."""
    home = Path(f"/proc/{process.pid}/cwd").readlink()
    before, until = checkpoints_in(home), time.monotonic() + 300
    while time.monotonic() < until and process.poll() is None:
        if checkpoints_in(home) - before:
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
            return [int(number) for number in children.split()]
        time.sleep(0.02)
    raise AssertionError(process.communicate())


@pytest.mark.nightly
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_killed_and_stopped_runs_end_in_the_same_bytes(tmp_path):
    whole = finished(study_in(tmp_path / "whole"))
    assert len(whole) == 1
    home = study_in(tmp_path / "hurt")

    process = begin(home)  # one of two dies
    workers = workers_of(process)
    os.kill(workers[-1], signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "process 2 of 2 (cpu): the worker process ended with signal SIGKILL" in err
    assert all(has_ended(worker) for worker in workers)

    process = begin(home)  # the run is asked to stop, as by a scheduler
    workers = workers_of(process)
    process.terminate()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 75, err
    assert all(has_ended(worker) for worker in workers)

    process = begin(home)  # the run is killed: nobody is left that hangs
    workers = workers_of(process)
    process.kill()
    process.communicate(timeout=60)
    until = time.monotonic() + 30
    while not all(has_ended(worker) for worker in workers) and time.monotonic() < until:
        time.sleep(0.1)
    assert all(has_ended(worker) for worker in workers)

    assert finished(home) == whole
