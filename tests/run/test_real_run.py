"""The real command on a tiny study: workers, training, report, and what happens when they die."""

from __future__ import annotations

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from factories.processes import has_ended
from factories.toy import TOY
from fakes.listened_command import Listened

from alspec.plan.expand import expand
from alspec.spec.load import load_study
from alspec.store.leases import Leases
from alspec.store.study_folder import StudyFolder

METHODS = ["random", "entropy", {"name": "bald", "passes": 2}]
HEADERS = {
    "results": "study,dataset,pool,budget,method,family,ssl,mc_dropout,seed,cycle,labelled_images,"
    "labelled_percent,miou,train_seconds,acquire_seconds,device,train_key",
    "runs": "study,dataset,pool,budget,method,family,ssl,mc_dropout,seed,"
    "auc,auc_budget,miou_at,miou_at_budget",
}
HOST_COLUMNS = ("train_seconds", "acquire_seconds", "device")


def start(home, *arguments):
    command = [sys.executable, "-c", "from alspec.cli.main import main; main()", *arguments]
    return subprocess.Popen(
        command,
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )


def finish(process, timeout=300):
    out, err = process.communicate(timeout=timeout)
    return process.returncode, out, err


def run(home, *more):
    return finish(start(home, "run", "study.yaml", "--devices", "cpu:1", *more))


def make_home(home, **changes):
    spec = {**TOY, "methods": METHODS, **changes}
    (home / "study.yaml").write_text(yaml.safe_dump(spec))
    return home


def rows(home, name="results"):
    with (home / f"work_dirs/tiny/{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    home = make_home(tmp_path_factory.mktemp("finished"))
    return home, run(home)


def selections(home):
    return {
        path.relative_to(home / "work_dirs/tiny/selections").as_posix(): path.read_text().split()
        for path in sorted((home / "work_dirs/tiny/selections").rglob("*.txt"))
    }


def test_a_study_runs_to_its_report(finished):
    home, (code, out, err) = finished
    assert code == 0, err
    study = home / "work_dirs/tiny"
    assert "0 failed" in out
    for name, header in HEADERS.items():
        assert (study / f"{name}.csv").read_text().splitlines()[0] == header
    plan = expand(load_study(home / "study.yaml"))
    results = rows(home)
    assert len(results) == sum(len(run.sets) for run in plan.runs)
    assert {row["device"] for row in results} == {"cpu"}
    assert all(0 <= float(row["miou"]) <= 100 for row in results)
    assert all(float(row["train_seconds"]) > 0 for row in results)
    assert {row["train_key"] for row in results} <= set(plan.steps)
    assert "# tiny" in (study / "report.md").read_text()
    assert list((study / "figures").glob("toy_20-20*.svg"))
    assert load_study(study / "spec.yaml") == plan.study
    assert not any(mark in err + out for mark in ("\x1b", "\r"))


def test_every_step_starts_once_and_ends_done(finished):
    home, _ = finished
    lines = (home / "work_dirs/tiny/events.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    plan = expand(load_study(home / "study.yaml"))
    for event in ("started", "done"):
        keys = [entry["key"] for entry in events if entry["event"] == event]
        assert sorted(keys) == sorted(plan.steps)


def test_labelled_sets_start_alike_grow_exactly_and_never_repeat(finished):
    home, _ = finished
    chosen = selections(home)
    first = {tuple(ids) for path, ids in chosen.items() if path.endswith("cycle_0.txt")}
    assert len(first) == 1
    runs = {path.rpartition("/")[0] for path in chosen}
    assert len(runs) == 8
    for name in runs:
        zero, one = chosen[f"{name}/cycle_0.txt"], chosen[f"{name}/cycle_1.txt"]
        assert (len(zero), len(one)) == (4, 8)
        assert one[:4] == zero
        assert len(set(one)) == 8
        assert all(image.startswith("pool/") for image in one)


def test_a_second_run_does_nothing_and_a_folder_can_be_reported(finished, cli, monkeypatch):
    home, _ = finished
    before = (home / "work_dirs/tiny/results.csv").read_bytes()
    monkeypatch.chdir(home)
    code, out, _ = cli("run", "study.yaml", "--devices", "cpu:1")
    assert code == 0
    assert " 0 steps executed" in out
    assert (home / "work_dirs/tiny/results.csv").read_bytes() == before
    code, out, err = cli("report", "work_dirs/tiny", "-o", "mine.md")
    assert (code, out) == (0, "mine.md\n"), err
    assert "](work_dirs/tiny/figures/toy_20-20" in (home / "mine.md").read_text()
    code, out, _ = cli("status", "--json")
    (told,) = json.loads(out)
    assert told["done"] == told["steps"]
    assert all(entry["done"] == entry["cycles"] for entry in told["runs"])


def test_only_the_last_weights_are_kept(finished):
    home, _ = finished
    plan = expand(load_study(home / "study.yaml"))
    store = StudyFolder(home / "work_dirs", "tiny").store
    last = {run.sets[-1].train for run in plan.runs}
    held = {
        key
        for key, step in plan.steps.items()
        if (store.home(key) / "weights.safetensors").exists()
    }
    assert held == last
    assert list((store.root / "recipes").iterdir()) == []
    assert list((store.root / "drafts").iterdir()) == []


def children_of(process):
    """Process numbers of a process's children, read from /proc."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == process.pid and fields[0] != "Z":
            found.append(int(entry.parent.name))
    return found


def begin(home):
    """Starts a run that can be listened to."""
    return Listened(home, "run", "study.yaml", "--devices", "cpu:1")


def workers_when(run, is_so):
    """The workers' numbers once the events of the run satisfy `is_so`."""
    run.wait_until(is_so)
    return children_of(run.process)


def at_work(kind):
    """Whether a step of a kind was the last to start and has not ended."""
    return lambda told: (
        bool(told)
        and told[-1]["event"] in ("started", "progressed")
        and told[-1]["step"].endswith(kind)
    )


def training(told):
    """Whether a worker is in the middle of a training."""
    return at_work("train")(told) and told[-1]["event"] == "progressed"


def lost(told):
    return any(entry["event"] == "lost" for entry in told)


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


@pytest.mark.slow
@needs_proc
def test_killed_workers_and_interrupted_runs_go_on_to_the_same_results(finished, tmp_path):
    whole, _ = finished
    home = make_home(tmp_path)
    begun = begin(home)
    (worker,) = workers_when(begun, at_work("train"))
    os.kill(worker, signal.SIGKILL)
    begun.wait_until(lost)
    workers = workers_when(begun, at_work("train"))
    begun.process.send_signal(signal.SIGINT)
    code, _, err = begun.finish()
    assert code == 130, err
    assert "lost its worker" in err
    assert "SIGKILL" in err
    assert all(has_ended(worker) for worker in workers)

    begun = begin(home)
    workers = workers_when(begun, at_work("train"))
    begun.process.terminate()
    code, _, err = begun.finish()
    assert code == 75, err
    assert all(has_ended(worker) for worker in workers)

    begun = begin(home)
    (worker,) = workers_when(begun, at_work("evaluate"))
    os.kill(worker, signal.SIGKILL)
    code, out, err = begun.finish()
    assert code == 1, err
    assert "1 failed" in out
    assert "Resume with: alspec run study.yaml" in err

    code, out, err = run(home)
    assert code == 0, err
    assert "0 failed" in out
    told = [
        [{k: v for k, v in row.items() if k not in HOST_COLUMNS} for row in rows(where)]
        for where in (whole, home)
    ]
    assert told[0] == told[1]
    assert selections(home) == selections(whole)
    for name in ("classes", "runs"):
        files = [where / f"work_dirs/tiny/{name}.csv" for where in (whole, home)]
        assert files[0].read_bytes() == files[1].read_bytes()


LONG = {"training": {"epochs": 400, "batch_size": 4, "lr": 0.01}}


@needs_proc
@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGTERM, 75),
        pytest.param(signal.SIGUSR1, 75, marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow),
    ],
)
def test_a_signal_has_the_training_kept_before_the_run_ends(tmp_path, number, code):
    home = make_home(tmp_path, methods=["random"], ssl=[False], baselines=[], **LONG)
    begun = begin(home)
    workers = workers_when(begun, training)
    signalled = time.monotonic()
    begun.process.send_signal(number)
    ended, _, err = begun.finish()
    assert ended == code, err
    assert time.monotonic() - signalled < 10
    assert all(has_ended(worker) for worker in workers)
    store = StudyFolder(home / "work_dirs", "tiny").store
    (kept,) = [path for folder in store.checkpointed() for path in folder.iterdir()]
    assert kept.suffix == ".safetensors"


@pytest.mark.slow
@needs_proc
def test_a_second_sigint_stops_at_once(tmp_path):
    home = make_home(tmp_path, methods=["random"], ssl=[False], baselines=[], **LONG)
    begun = begin(home)
    workers = workers_when(begun, training)
    for worker in workers:
        os.kill(worker, signal.SIGSTOP)  # it can neither hear nor end
    begun.process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        begun.process.wait(1)
    signalled = time.monotonic()
    begun.process.send_signal(signal.SIGINT)
    ended, _, err = begun.finish()
    assert ended == 130, err
    assert time.monotonic() - signalled < 4
    assert all(has_ended(worker) for worker in workers)


@pytest.fixture
def waiting_training(tmp_path):
    """The store of a study with only its first training and what follows left; its key."""
    home = make_home(tmp_path, methods=["random"], ssl=[False], baselines=[], **LONG)
    plan = expand(load_study(home / "study.yaml"))
    first = plan.runs[0].sets[0]
    store = StudyFolder(home / "work_dirs", "tiny").store
    for key in (plan.settings[0].pool_step, first.acquire, first.train):
        store.write_recipe(plan.steps[key].to_json())
    for key in (plan.settings[0].pool_step, first.acquire):
        code, _, err = finish(start(home, "work", key))
        assert code == 0, err
    return home, store, first.train


@pytest.mark.slow
def test_a_single_step_is_kept_on_a_signal_and_gone_on_from(waiting_training):
    home, store, key = waiting_training
    working = lambda told: bool(told) and told[-1]["event"] == "working"  # noqa: E731
    kept = []
    for number, code in ((signal.SIGTERM, 75), (signal.SIGUSR1, 75), (signal.SIGINT, 130)):
        begun = Listened(home, "work", key)
        begun.wait_until(working)
        signalled = time.monotonic()
        begun.process.send_signal(number)
        ended, out, err = begun.finish()
        assert (ended, out) == (code, ""), err
        assert time.monotonic() - signalled < 10
        newest = max(path.name for path in store.checkpoints(key).iterdir())
        kept.append(int(newest.partition("-")[0]))
        assert list((store.root / "leases").iterdir()) == []
        assert list((store.root / "drafts").iterdir()) == []
    assert kept[0] < kept[1] < kept[2]
    assert not store.is_done(key)


@pytest.mark.slow
def test_a_single_step_that_another_process_holds_is_left_to_it(waiting_training):
    home, store, key = waiting_training
    leases = Leases(store.root / "leases")
    assert leases.take(key) is None
    try:
        code, out, err = finish(start(home, "work", key))
        assert (code, out) == (4, "")
        assert f"process {os.getpid()} on {socket.gethostname()}, last heard of" in err
        code, out, err = finish(start(home, "run", "study.yaml", "--devices", "cpu:1", "--no-wait"))
        assert code == 4, err
        assert "Report: " in out
        assert f"process {os.getpid()} on {socket.gethostname()}, last heard of" in err
    finally:
        leases.close()
    assert not store.is_done(key)
