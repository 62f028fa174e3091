"""Several runs at once on one study: forks of one process that has everything loaded."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter, defaultdict
from itertools import pairwise

import pytest
from fakes.trainer import STUDIES, FakeTrainer, Heard, results_of, run_study, tiny_plan

from alspec.errors import InputError
from alspec.plan.cost.time import parse_duration
from alspec.plan.kinds.train import WEIGHTS
from alspec.run.executors.base import Outcome
from alspec.run.loop import LONGEST_PAUSE
from alspec.store.leases import Leases
from alspec.store.study_folder import StudyFolder

PROCESSES = 8


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The plan of the server's study, and what one run of it publishes."""
    work_dir, plan = tmp_path_factory.mktemp("alone"), tiny_plan()
    run_study(work_dir, plan)
    return plan, results_of(work_dir, plan)


@pytest.mark.parametrize("rounds", [1, pytest.param(50, marks=pytest.mark.slow)])
def test_eight_processes_do_each_step_once(server, alone, tmp_path, rounds):
    plan, results = alone
    for number in range(rounds):
        work_dir, notes = tmp_path / f"{number}", tmp_path / f"{number}.txt"
        codes = server.run(work_dir, processes=PROCESSES, notes=str(notes))
        assert codes == [0] * PROCESSES
        lines = [line.split() for line in notes.read_text().splitlines()]
        for word in ("began", "ended"):
            assert Counter(key for said, key, _ in lines if said == word) == Counter([*plan.steps])
        assert results_of(work_dir, plan) == results
        store = StudyFolder(work_dir, plan.study.study).store
        for folder in ("leases", "drafts", "recipes"):
            assert list((store.root / folder).iterdir()) == []
        assert not (store.root / "quarantine").exists()


@pytest.mark.parametrize("rounds", [2, pytest.param(50, marks=pytest.mark.slow)])
def test_two_studies_of_one_store_do_each_step_once(server, tmp_path, rounds):
    plans = {study: tiny_plan(**changes) for study, changes in STUDIES.items()}
    steps = set().union(*(plan.steps for plan in plans.values()))
    assert len(steps) < sum(len(plan.steps) for plan in plans.values())
    for study, plan in plans.items():
        run_study(tmp_path / f"alone-{study}", plan)
    for number in range(rounds):
        work_dir, notes = tmp_path / f"{number}", tmp_path / f"{number}.txt"
        studies = dict.fromkeys(plans, PROCESSES // 2)
        assert server.run(work_dir, studies=studies, notes=str(notes)) == [0] * PROCESSES
        lines = [line.split() for line in notes.read_text().splitlines()]
        for word in ("began", "ended"):
            assert Counter(key for said, key, _ in lines if said == word) == Counter(steps)
        for study, plan in plans.items():
            assert results_of(work_dir, plan) == results_of(tmp_path / f"alone-{study}", plan)
        store = StudyFolder(work_dir, "tiny").store
        last = {run.sets[-1].train for run in plans["tiny"].runs}
        assert {key for key in steps if (store.home(key) / WEIGHTS).exists()} == last


MACHINES = [
    {"host": "node1", "clock": 300.0, "operation_seconds": 0.0002},
    {"host": "node2", "operation_seconds": 0.0004},
]
"""Clocks five minutes apart, on a shared disk that is slow."""


@pytest.mark.parametrize("rounds", [1, pytest.param(20, marks=pytest.mark.slow)])
def test_two_machines_do_each_step_once(server, alone, tmp_path, rounds):
    plan, results = alone
    for number in range(rounds):
        work_dir, notes = tmp_path / f"{number}", tmp_path / f"{number}.txt"
        assert server.run(work_dir, machines=MACHINES, notes=str(notes)) == [0, 0]
        lines = [line.split() for line in notes.read_text().splitlines()]
        for word in ("began", "ended"):
            assert Counter(key for said, key, _ in lines if said == word) == Counter([*plan.steps])
        assert results_of(work_dir, plan) == results


@pytest.mark.slow
@pytest.mark.parametrize("dies", [0, 1])
def test_a_machine_that_dies_is_waited_for_no_longer_than_the_limit(server, alone, tmp_path, dies):
    """The one with the clock ahead, or the one whose clock is the disk's."""
    plan, results = alone
    limit, notes = 3.0, tmp_path / "notes.txt"
    machines = [{**machine, "limit": limit} for machine in MACHINES]
    machines[dies]["fault"] = "step.submit:2:kill"
    codes = server.run(tmp_path, machines=machines, notes=str(notes))
    assert (codes[dies], codes[1 - dies]) == (-signal.SIGKILL, 0)
    lines = [line.split() for line in notes.read_text().splitlines()]
    assert Counter(key for said, key, _ in lines if said == "ended") == Counter([*plan.steps])
    times = defaultdict(list)  # by a machine's own clock
    for event in StudyFolder(tmp_path, plan.study.study).events_from(0)[0]:
        times[event["time"] > time.time() + 150].append(event["time"])
    lived = times[dies == 1]
    assert max(later - earlier for earlier, later in pairwise(lived)) < limit + LONGEST_PAUSE
    assert results_of(tmp_path, plan) == results


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_living_run_is_waited_for_and_a_killed_one_taken_over(alone, tmp_path):
    """One process begins a step and hangs; this one waits, kills it, and goes on at once."""
    plan, results = alone
    ready, tell = os.pipe()
    fork = os.fork()
    if fork == 0:

        class Hanging(FakeTrainer):
            def wait(self, timeout_seconds):
                os.write(tell, b"x")
                signal.pause()

        try:
            run_study(tmp_path, plan, executor=Hanging(tmp_path / ".store"))
        finally:
            os._exit(0)
    os.read(ready, 1)
    killed_at = began_at = None

    class Killing(Heard):
        def idle(self):
            nonlocal killed_at
            if self.holders and killed_at is None:
                killed_at = time.monotonic()
                os.kill(fork, signal.SIGKILL)

        def started(self, step):
            nonlocal began_at
            began_at = began_at or time.monotonic()

    observer = Killing()
    try:
        summary, _ = run_study(tmp_path, plan, observer=observer)
    finally:
        os.waitpid(fork, 0)
        os.close(ready)
        os.close(tell)
    assert [holder.process for holder in observer.holders] == [fork]
    assert sorted(summary.executed) == sorted(plan.steps)
    assert 0 <= began_at - killed_at < 2
    assert results_of(tmp_path, plan) == results


def test_what_another_run_finished_is_not_done_again(alone, tmp_path):
    plan, results = alone
    folder = StudyFolder(tmp_path, plan.study.study)
    other = Leases(folder.store.root / "leases")
    key = next(iter(plan.steps))
    assert other.take(key) is None

    class Letting(Heard):
        def held(self, step, holder):
            super().held(step, holder)
            trainer = FakeTrainer(folder.store.root)
            folder.store.write_recipe(step.to_json())
            trainer.submit(step.key)
            trainer.wait(0)
            other.release(key)

    observer = Letting()
    summary, _ = run_study(tmp_path, plan, observer=observer)
    other.close()
    assert summary.elsewhere == [key]
    assert sorted([*summary.executed, key]) == sorted(plan.steps)
    assert observer.holders[0].process == os.getpid()
    assert [outcome for outcome, _ in observer.ends].count(Outcome.ELSEWHERE) == 1
    assert results_of(tmp_path, plan) == results


def test_a_run_that_does_not_wait_leaves_what_others_hold(alone, tmp_path):
    plan, results = alone
    folder = StudyFolder(tmp_path, plan.study.study)
    other = Leases(folder.store.root / "leases")
    key = plan.runs[0].sets[-1].train
    assert other.take(key) is None
    observer = Heard()
    summary, _ = run_study(tmp_path, plan, observer=observer, wait=False)
    assert {held: holder.process for held, holder in summary.held.items()} == {key: os.getpid()}
    assert [holder.process for holder in observer.holders] == [os.getpid()]
    readers = {step.key for step in plan.steps.values() if key in step.inputs.values()}
    assert set(summary.executed) == plan.steps.keys() - {key} - readers
    assert not summary.failed
    assert folder.report.is_file()
    assert run_study(tmp_path, plan, wait=False)[0].executed == []
    other.close()
    summary, _ = run_study(tmp_path, plan, wait=False)
    assert set(summary.executed) == {key} | readers
    assert not summary.held
    assert results_of(tmp_path, plan) == results


def test_a_run_that_finds_nothing_to_do_for_a_while_ends(alone, tmp_path):
    plan, _ = alone
    other = Leases(StudyFolder(tmp_path, plan.study.study).store.folders.leases)
    key = next(iter(plan.steps))
    assert other.take(key) is None
    observer = Heard()
    began = time.monotonic()
    summary, _ = run_study(tmp_path, plan, observer=observer, idle_seconds=0.3)
    assert 0.3 <= time.monotonic() - began < 60
    assert list(summary.held) == [key]
    assert [holder.process for holder in observer.holders] == [os.getpid()]
    other.close()
    summary, _ = run_study(tmp_path, plan, idle_seconds=0.0)
    assert not summary.held
    assert key in summary.executed


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("15m", 900), ("2h", 7200), (" 1.5 h", 5400)]
)
def test_durations_are_read(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "-1m", "15 minutes", "1e3", "\u0663m"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(InputError, match="Write 90s, 15m or 2h"):
        parse_duration(text)
