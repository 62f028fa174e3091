"""Watching pilots on a cluster in this process: what is started, counted, told and given up."""

from __future__ import annotations

import pytest
from fakes.trainer import Heard, perform, tiny_plan

from alspec.plan.kinds import TRAIN
from alspec.run.executors.pilots import Census, ClusterError
from alspec.run.watch import COUNT_SECONDS, FRUITLESS, LATE_SECONDS, LOOK_SECONDS, Watch
from alspec.store.leases import Leases
from alspec.store.study_folder import StudyFolder


class Machines:
    """A cluster whose pilots do one step each at every look, as time passes."""

    name = "Machines"

    def __init__(self, folder, plan):
        self.folder, self.plan, self.now = folder, plan, 0.0
        self.pilots, self.started, self.counted = 0, [], 0
        self.fails, self.refuses, self.silent, self.lives = set(), "", False, 10**6
        self.later = []

    def start(self, pilots):
        if self.refuses:
            raise ClusterError(self.refuses)
        self.pilots = pilots
        if self.started and self.later:
            self.lives = self.later.pop()
        self.started.append(pilots)
        return f"{pilots} pilots"

    def count(self):
        self.counted += 1
        if self.silent:
            raise ClusterError("squeue: down")
        return Census(self.pilots, 0)

    def how_to_stop(self):
        return "scancel them"

    def clock(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        store = self.folder.store
        for _ in range(self.pilots):
            if self.lives <= 0:
                break
            self.lives -= 1
            step = next(iter(self._ready()), None)
            if step is None:
                break
            self.folder.log_event({"event": "started", "key": step.key})
            if step.key in self.fails:
                self.folder.log_event({"event": "failed", "key": step.key, "message": "NaN"})
                self.tried.add(step.key)
            else:
                with store.draft(step.key, step.to_json()) as draft:
                    perform(step, store, draft)
        if self.lives <= 0 or not list(self._ready()):
            self.pilots = 0

    def _ready(self):
        done = self.folder.store.done(self.plan.steps)
        for step in self.plan.in_order():
            if step.key not in done | self.tried and done.issuperset(step.inputs.values()):
                yield step


@pytest.fixture
def made(tmp_path):
    plan = tiny_plan()
    folder = StudyFolder(tmp_path, plan.study.study)
    machines, heard = Machines(folder, plan), Heard()
    machines.tried = set()
    watch = Watch(
        plan, folder, machines, heard, plan.steps, 2, sleep=machines.sleep, clock=machines.clock
    )
    return plan, machines, heard, watch


def test_pilots_do_all_and_the_watch_says_how_it_ended(made):
    plan, machines, heard, watch = made
    watch.begin()
    summary = watch.until_done()
    assert set(summary.executed) == set(plan.steps)
    assert (summary.failed, summary.skipped, summary.stopped) == ({}, [], "")
    assert machines.started == [2]
    assert len(heard.ends) == len(plan.steps)
    assert machines.counted <= 2 + machines.now / COUNT_SECONDS  # no busy questions


def test_the_same_command_tops_up_what_is_there(made):
    _, machines, heard, watch = made
    machines.pilots = 1
    watch.begin()
    assert machines.started == [1]
    assert "1 pilots of this study are there: Machines" in heard.notes


def test_never_more_pilots_than_steps(made):
    plan, machines, _, watch = made
    watch.pilots = 10_000
    watch.begin()
    assert machines.started == [len(plan.steps)]


def test_a_failed_step_stops_its_descendants_alone(made):
    plan, machines, _, watch = made
    train = next(step for step in plan.in_order() if step.kind is TRAIN)
    machines.fails = {train.key}
    watch.begin()
    summary = watch.until_done()
    assert summary.failed == {train.key: "NaN"}
    assert "1 steps failed" in summary.stopped
    readers = set(plan.consumers()[train.key])
    assert readers <= set(summary.skipped)
    assert set(summary.executed) | set(summary.skipped) | {train.key} == set(plan.steps)
    assert machines.started == [2]  # nothing that could be done was left to start pilots for


def test_when_all_pilots_are_gone_others_are_started(made):
    plan, machines, heard, watch = made
    machines.lives, machines.later = 3, [10**6]
    watch.begin()
    summary = watch.until_done()
    assert set(summary.executed) == set(plan.steps)
    assert machines.started == [2, 2]
    assert any("all pilots have ended" in note for note in heard.notes)


def test_pilots_that_finish_nothing_are_given_up(made):
    _, machines, _, watch = made
    machines.lives = 0
    watch.begin()
    summary = watch.until_done()
    assert len(machines.started) == 1 + FRUITLESS
    assert f"{FRUITLESS + 1} times that finished no step" in summary.stopped
    assert "logs" in summary.stopped
    assert machines.now <= (FRUITLESS + 2) * (LATE_SECONDS + 2 * LOOK_SECONDS)


def test_results_that_are_seen_late_start_no_pilots(made, tmp_path):
    plan, machines, _, watch = made
    *_, last = plan.in_order()
    home, hidden, ended = machines.folder.store.home(last.key), tmp_path / "hidden", []

    def sleep(seconds):
        machines.sleep(seconds)
        if not ended and home.exists():
            ended.append(machines.now)
            home.rename(hidden)
        elif hidden.exists() and machines.now >= ended[0] + LATE_SECONDS - LOOK_SECONDS:
            hidden.rename(home)

    watch.sleep = sleep
    watch.begin()
    assert set(watch.until_done().executed) == set(plan.steps)
    assert machines.started == [2]
    assert machines.now >= ended[0] + LATE_SECONDS - LOOK_SECONDS


def test_pilots_that_cannot_be_started_again_end_the_watch(made):
    _, machines, _, watch = made
    machines.lives = 0
    watch.begin()
    machines.refuses = "sbatch: partition is down"
    assert "no pilot: sbatch: partition is down" in watch.until_done().stopped


def test_a_cluster_that_does_not_answer_is_told_once_and_the_store_watched(made):
    plan, machines, heard, watch = made
    watch.begin()
    machines.silent = True
    machines.pilots = 1
    assert set(watch.until_done().executed) == set(plan.steps)
    assert len([note for note in heard.notes if "squeue: down" in note]) == 1
    machines.silent, watch.left = True, dict(plan.steps)
    with pytest.raises(ClusterError, match="Nothing was started"):
        watch.begin()


def test_a_step_that_some_run_is_at_is_waited_for(made):
    plan, machines, _, watch = made
    machines.lives = 0
    watch.begin()
    other = Leases(watch.folder.store.folders.leases)
    assert other.take(next(iter(plan.steps))) is None

    started = []

    def sleep(seconds):
        machines.sleep(seconds)
        if machines.now > 5 * LATE_SECONDS and not started:
            started.extend(machines.started)
            other.close()
            machines.later = [10**6]

    watch.sleep = sleep
    assert set(watch.until_done().executed) == set(plan.steps)
    assert started == [2]


def test_ctrl_c_leaves_pilots_and_says_how_to_end_them(made):
    _, machines, heard, watch = made
    watch.begin()

    def interrupted(_):
        raise KeyboardInterrupt

    watch.sleep = interrupted
    with pytest.raises(KeyboardInterrupt):
        watch.until_done()
    assert machines.pilots == 2
    assert "tiny: scancel them" in heard.notes


def test_lines_that_two_machines_wrote_into_one_another_are_passed_over(made):
    plan, _, heard, watch = made
    key = next(iter(plan.steps))
    watch.folder.log_event({"event": "started", "key": "f" * 64})
    with watch.folder.events.open("a") as file:
        file.write('{"event":"fai{"event":"done"}\n[1]\n{"event": "failed", "key": "' + key)
    watch._look()
    assert (heard.ends, watch.summary.failed) == ([], {})
    with watch.folder.events.open("a") as file:
        file.write('", "message": "late"}\n')
    watch._look()
    assert watch.summary.failed == {key: "late"}
