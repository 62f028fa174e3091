"""kill -9 inside real runs: worker, parent or both, wherever they are; a plain run goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from factories.processes import has_ended
from factories.results import committed, results_of
from factories.toy import TOY

from alspec.run.executors.worker import KEEP_ITERATIONS
from alspec.store.study_folder import StudyFolder
from alspec.system import failpoints

TRAINING = {"epochs": 6, "batch_size": 4, "lr": 0.01}

STUDIES = {
    "s4gan": {"methods": ["random"], "ssl": [True]},
    "bald": {"methods": [{"name": "bald", "passes": 2}], "ssl": [False]},
    "coreset": {"methods": ["coreset"], "ssl": [False]},
}
KILLS = {
    "s4gan": [
        ("train.progress:3", "both"), ("checkpoint.write:1", "both"), ("train.progress:1", "run"),
        ("train.save:1", "both"), ("commit.manifest:1", "both"), ("train.progress:1", "worker"),
        ("train.save:1", "worker"), ("commit.rename:1", "run"), ("evaluate.progress:1", "both"),
        ("evaluate.save:1", "worker"), ("publish.tables:1", "run"),
    ],
    "bald": [
        ("train.progress:3", "both"), ("checkpoint.verify:1", "both"), ("train.progress:1", "run"),
        ("acquire.progress:1", "both"), ("acquire.progress:2", "worker"),
        ("train.save:1", "worker"), ("evaluate.progress:1", "worker"), ("publish.figures:1", "run"),
    ],
    "coreset": [
        ("acquire.progress:1", "both"), ("acquire.progress:3", "run"),
        ("acquire.progress:2", "worker"), ("acquire.save:1", "both"), ("train.save:1", "both"),
        ("evaluate.save:1", "worker"), ("publish.report:1", "run"),
    ],
}  # fmt: skip
"""Of each study: the point at which a process stands still, and who is then killed."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc"),
]


def begin(home, fault="", loader_workers=0):
    arguments = ["--devices", "cpu:1", "--loader-workers", str(loader_workers)]
    return subprocess.Popen(
        [sys.executable, "-m", "alspec", "run", "study.yaml", *arguments],
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "CUDA_VISIBLE_DEVICES": "",
            KEEP_ITERATIONS: "2",
            failpoints.FAULT: f"{fault}:stop" if fault else "",
        },
    )


def fields(pid):
    """State, parent and the rest of what the system lists of a process; nothing if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def children(pid):
    numbers = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
    return [n for n in numbers if (f := fields(n)) and int(f[1]) == pid and f[0] != "Z"]


def standing_still(process):
    """The run or the worker that has come to its point; None if the run ended before."""
    until = time.monotonic() + 200
    while time.monotonic() < until and process.poll() is None:
        for pid in (process.pid, *children(process.pid)):
            if fields(pid)[:1] == ["T"]:
                return pid
        time.sleep(0.02)
    return None


def kill(process, still, victim):
    """Kill -9 of the run, of its worker, or of both at once; whoever is left goes on."""
    workers = children(process.pid)
    if victim in ("run", "both"):
        process.kill()
    if victim in ("worker", "both"):
        (worker,) = workers
        os.kill(worker, signal.SIGKILL)
    if victim == "run" and still != process.pid:
        os.kill(still, signal.SIGCONT)
    if victim == "worker":
        while (still := standing_still(process)) is not None:  # the next worker comes there, too
            os.kill(still, signal.SIGCONT)
    out, err = process.communicate(timeout=200)
    assert all(has_ended(worker) for worker in workers)
    return process.returncode, out, err


def run_whole(home, **how):
    process = begin(home, **how)
    out, err = process.communicate(timeout=400)
    assert process.returncode == 0, err
    return out


def home_of(folder, name):
    folder.mkdir()
    spec = {**TOY, **STUDIES[name], "baselines": [], "training": TRAINING}
    (folder / "study.yaml").write_text(yaml.safe_dump(spec))
    return folder


def folder_of(home):
    return StudyFolder(home / "work_dirs", "tiny")


def started(home):
    """The keys of all steps that were ever handed to a worker, in order."""
    path = home / "work_dirs/tiny/events.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    told = [json.loads(line) for line in lines if line.endswith("}")]
    return [entry["key"] for entry in told if entry["event"] == "started"]


def test_there_are_at_least_20_kills_of_each_kind_of_process():
    kills = [(name, *one) for name, told in KILLS.items() for one in told]
    assert len(kills) == len(set(kills)) >= 20
    assert {victim for *_, victim in kills} == {"run", "worker", "both"}


@pytest.mark.parametrize("name", STUDIES)
def test_killed_runs_go_on_to_the_same_bytes(tmp_path, name):
    whole, home = home_of(tmp_path / "whole", name), home_of(tmp_path / "killed", name)
    run_whole(whole)
    for number, (fault, victim) in enumerate(KILLS[name]):
        case = f"{name}: {victim} killed at {fault}"
        before, handed = committed(folder_of(home)), len(started(home))
        process = begin(home, fault, loader_workers=number % 3)
        still = standing_still(process)
        assert still is not None, (case, process.communicate())
        code, out, err = kill(process, still, victim)
        if victim == "worker":  # the run itself goes on with what does not need the lost step
            assert code == 1, (case, err)
            assert "lost its worker" in err, case
            assert "SIGKILL" in err, case
            assert "1 failed" in out, case
            assert "Resume with: alspec run study.yaml" in err, case
        else:
            assert code == -signal.SIGKILL, (case, err)
        assert before <= committed(folder_of(home)), f"{case}: a step was lost"
        assert not before & set(started(home)[handed:]), f"{case}: a step was done again"
    before, handed = committed(folder_of(home)), len(started(home))
    run_whole(home)
    assert not before & set(started(home)[handed:])
    assert results_of(folder_of(home)) == results_of(folder_of(whole))
    root = folder_of(home).store.root
    assert [*root.glob("drafts/*"), *root.glob("leases/*"), *root.glob("recipes/*")] == []
    assert [*root.glob("checkpoints/*"), *root.glob("quarantine/*")] == []
