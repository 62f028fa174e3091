"""The loop with an executor that works in this process and writes token artifacts."""

from __future__ import annotations

import json
from collections import deque

import pytest
from factories.toy import TOY

from alspec.plan.cost.priority import remaining_cost
from alspec.plan.expand import expand
from alspec.plan.kinds import EVALUATE, TRAIN
from alspec.plan.kinds.train import WEIGHTS
from alspec.plan.naming_steps import with_ancestors
from alspec.run.events import EventLog
from alspec.run.executors.base import Ended, Outcome, Progressed
from alspec.run.loop import needed, run
from alspec.store.failures import Failures
from alspec.store.store import Store
from alspec.store.study_folder import StudyFolder
from alspec.system.processes import SUBMISSION


class Fake:
    """Does each step at once when asked for its event; some fail, are lost, or lie."""

    def __init__(self, store, slots=2, **how):
        self.store, self.slots, self.how = store, slots, how
        self.taken: list[str] = []
        self.queue = deque()
        self.most = 0

    @property
    def free_slots(self):
        return self.slots - len(self.queue)

    def has_room(self, devices):
        return self.free_slots >= devices

    def submit(self, key, devices=1):
        step = self.store.read_recipe(key)["recipe"]
        for role, source in step["inputs"].items():
            assert self.store.is_done(source), f"{role} is not there"
            if role == "train":
                assert self.store.holds(source, WEIGHTS), "its weights are gone"
        self.taken.append(key)
        self.queue.append(key)
        self.most = max(self.most, len(self.queue))

    def wait(self, timeout_seconds):
        if not self.queue:
            return None
        key = self.queue.popleft()
        how = self.how.get(key) or self.how.get("k" + key)
        if how in ("failed", "lost"):
            return Ended(key, Outcome[how.upper()], f"it {how}", "log.txt")
        if how != "liar":
            with self.store.draft(key, {}) as draft:
                (draft / "artifact.txt").write_text(key)
                if self.store.read_recipe(key)["recipe"]["kind"] == "train":
                    (draft / WEIGHTS).write_text("numbers")
        return Ended(key, Outcome.LOST if how == "committed, then lost" else Outcome.DONE)

    def close(self):
        pass


class Silent:
    def __init__(self):
        self.heard = []

    def started(self, step):
        self.heard.append(("started", step.key))

    def progressed(self, step, done, total):
        self.heard.append(("progressed", step.key))

    def ended(self, step, outcome, message, log):
        self.heard.append((outcome.name, step.key, message))

    def idle(self):
        raise AssertionError("a step was ready")


@pytest.fixture(autouse=True)
def _no_waiting_for_disks(monkeypatch):
    monkeypatch.setattr("os.fsync", lambda _: None)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def plan(toy_study):
    return expand(toy_study())


def holding(plan, store):
    trainings = [s.key for s in plan.in_order() if s.kind is TRAIN]
    return {key for key in trainings if store.holds(key, WEIGHTS)}


def test_everything_is_run_once_after_its_inputs(plan, store):
    executor, observer = Fake(store), Silent()
    summary = run(plan, store, executor, observer)
    assert sorted(executor.taken) == sorted(plan.steps) == sorted(summary.executed)
    assert executor.most == 2
    assert (summary.failed, summary.skipped, summary.finished_before) == ({}, [], 0)
    assert [h[0] for h in observer.heard].count("DONE") == len(plan.steps)
    assert list((store.root / "recipes").iterdir()) == []


def test_a_finished_study_runs_nothing(plan, store):
    run(plan, store, Fake(store), Silent())
    again = Fake(store)
    summary = run(plan, store, again, Silent())
    assert again.taken == summary.executed == []
    assert summary.finished_before == len(plan.steps)


def test_steps_that_nobody_asked_for_were_not_done_before(plan, store):
    wanted = with_ancestors(plan, [plan.steps[plan.runs[0].sets[0].evaluate]])
    summary = run(plan, store, Fake(store), Silent(), among=wanted)
    assert (len(summary.executed), summary.finished_before) == (len(wanted), 0)
    assert run(plan, store, Fake(store), Silent(), among=wanted).finished_before == len(wanted)
    assert run(plan, store, Fake(store), Silent()).finished_before == len(wanted)


def test_evaluations_go_first_and_then_the_longest_chain(plan, store):
    executor = Fake(store, slots=1)
    run(plan, store, executor, Silent())
    left = remaining_cost(plan)
    done = set()
    for key in executor.taken:
        ready = [
            k for k, s in plan.steps.items() if k not in done and set(s.inputs.values()) <= done
        ]
        evaluations = [k for k in ready if plan.steps[k].kind is EVALUATE]
        assert left[key] == max(left[k] for k in evaluations or ready)
        assert not evaluations or key in evaluations
        done.add(key)


def descendants(plan, key):
    found = set()
    for step in plan.in_order():
        if {key} & set(step.inputs.values()) or found & set(step.inputs.values()):
            found.add(step.key)
    return found


@pytest.mark.parametrize("how", ["failed", "lost", "liar"])
def test_a_step_that_is_not_done_stops_only_its_descendants(plan, store, how):
    broken = next(r for r in plan.runs if r.method == "entropy" and r.ssl).sets[0].train
    observer = Silent()
    summary = run(plan, store, Fake(store, **{"k" + broken: how}), observer)
    below = descendants(plan, broken)
    assert set(summary.failed) == {broken}
    assert summary.failed[broken]
    assert set(summary.skipped) == below
    assert len(summary.skipped) == len(below)
    assert set(summary.executed) == set(plan.steps) - below - {broken}
    told = [heard for heard in observer.heard if heard[0] in ("FAILED", "LOST")]
    assert len(told) == 1
    assert told[0][2]
    fresh = Fake(store)
    again = run(plan, store, fresh, Silent())
    assert set(again.executed) == below | {broken}
    assert not again.failed


@pytest.mark.parametrize("how", ["failed", "lost"])
def test_pilots_of_one_command_try_a_broken_step_on_two_machines(plan, store, monkeypatch, how):
    """A hundred pilots tried it a hundred times."""
    broken = next(r for r in plan.runs if r.method == "entropy" and r.ssl).sets[0].train
    monkeypatch.setenv(SUBMISSION, "first")
    pilots, heard = [], []
    for number in range(8):
        monkeypatch.setattr("socket.gethostname", lambda number=number: f"node{number // 2}")
        executor, observer = Fake(store, **{"k" + broken: how}), Silent()
        summary = run(plan, store, executor, EventLog(StudyFolder(store.root, "tiny"), observer))
        assert set(summary.failed) == {broken}
        assert set(summary.skipped) == descendants(plan, broken)
        pilots.append(executor.taken.count(broken))
        heard += [name for name, key, *_ in observer.heard if key == broken and name != "started"]
    assert pilots == [1, 0, 1, 0, 0, 0, 0, 0]
    assert summary.failed[broken] == f"on node0 and node1: it {how}"
    once, elsewhere = how.upper(), "FAILED_ELSEWHERE"
    assert heard == [once, elsewhere, once, *[elsewhere] * 5]
    events = StudyFolder(store.root, "tiny").events_from(0)[0]
    assert [event["event"] for event in events if event["key"] == broken].count(how) == 2
    monkeypatch.setenv(SUBMISSION, "the user's next command")
    again = run(plan, store, Fake(store), Silent())
    assert set(again.executed) == descendants(plan, broken) | {broken}
    assert list(store.folders.failures.iterdir()) == []


def test_a_run_leaves_alone_what_failed_in_another_since_it_began(plan, store):
    """Two commands started by hand on one machine."""
    broken = next(r for r in plan.runs if r.method == "entropy" and r.ssl).sets[0].train

    class Later(Fake):
        def submit(self, key, devices=1):
            if not self.taken:  # the other run comes to the step first, and fails
                Failures(store.folders.failures, "other").record(broken, "NaN", "")
            super().submit(key)

    executor = Later(store)
    summary = run(plan, store, executor, Silent())
    assert broken not in executor.taken
    assert "NaN" in summary.failed[broken]
    assert set(summary.executed) == set(plan.steps) - {broken} - descendants(plan, broken)


def test_the_store_says_what_is_done_not_the_worker(plan, store):
    key = plan.runs[0].sets[0].train
    summary = run(plan, store, Fake(store, **{"k" + key: "committed, then lost"}), Silent())
    assert not summary.failed
    assert key in summary.executed


@pytest.mark.parametrize("keep", ["none", "last", "all"])
def test_weights_are_kept_as_the_study_says(toy_study, store, keep):
    plan = expand(toy_study(keep=keep))
    run(plan, store, Fake(store), Silent())
    every = {s.train for r in plan.runs for s in r.sets}
    last = {r.sets[-1].train for r in plan.runs}
    assert holding(plan, store) == {"none": set(), "last": last, "all": every}[keep]


@pytest.mark.parametrize("later", ["last", "none"])
def test_weights_that_one_study_keeps_are_not_dropped_by_another(toy_study, store, later):
    keeping = expand(toy_study(study="keeping", methods=["random"], keep="all"))
    run(keeping, store, Fake(store), Silent())
    kept = holding(keeping, store)
    plan = expand(toy_study(study="later", keep=later))
    run(plan, store, Fake(store), Silent())
    assert kept <= holding(plan, store)
    last = {r.sets[-1].train for r in plan.runs} if later == "last" else set()
    assert holding(plan, store) == kept | last
    run(expand(toy_study(study="keeping", methods=["random"], keep="none")), store, None, None)
    more = expand(toy_study(study="later", methods=["random", "entropy", "coreset"], keep=later))
    run(more, store, Fake(store), Silent())
    assert not kept & holding(more, store) - last - {r.sets[-1].train for r in more.runs}


def test_weights_that_an_interrupted_study_has_yet_to_read_stay(toy_study, store):
    waiting = expand(toy_study(study="waiting", methods=["coreset"], ssl=[False], keep="none"))
    first = waiting.runs[0].sets[0].train
    acquires = {s.key for s in waiting.in_order() if first in s.inputs.values()} - {
        waiting.runs[0].sets[0].evaluate
    }
    (acquire,) = acquires
    run(waiting, store, Fake(store, **{"k" + acquire: "failed"}), Silent())
    plan = expand(toy_study(study="other", methods=["entropy"], ssl=[False], keep="none"))
    assert first in plan.steps
    run(plan, store, Fake(store), Silent())
    assert holding(plan, store) == {first}  # entropy has read them, coreset will
    again = run(waiting, store, Fake(store), Silent())
    assert first not in again.executed
    assert holding(plan, store) == set()


def test_weights_wait_for_readers_that_failed(toy_study, store):
    plan = expand(toy_study(keep="none"))
    chain = next(r for r in plan.runs if r.method == "entropy" and not r.ssl)
    broken = chain.sets[1].acquire
    run(plan, store, Fake(store, **{"k" + broken: "failed"}), Silent())
    assert holding(plan, store) == {chain.sets[0].train}
    summary = run(plan, store, Fake(store), Silent())
    assert chain.sets[0].train not in summary.executed
    assert holding(plan, store) == set()


def test_a_new_method_makes_dropped_weights_again(toy_study, store):
    before = expand(toy_study(methods=["random"], ssl=[False]))
    run(before, store, Fake(store), Silent())
    plan = expand(toy_study(methods=["random", "entropy"], ssl=[False]))
    first = plan.runs[1].sets[0]
    assert first.train in before.steps
    assert not store.holds(first.train, WEIGHTS)
    todo = set(needed(plan, store))
    own = {s for labelled in plan.runs[1].sets[1:] for s in (labelled.acquire, labelled.train)}
    assert todo == own | {first.train, plan.runs[1].sets[1].evaluate}
    summary = run(plan, store, Fake(store), Silent())
    assert set(summary.executed) == todo
    assert summary.finished_before == len(plan.steps) - len(todo)
    assert not store.holds(first.train, WEIGHTS)
    assert list((store.root / "quarantine").iterdir()) == []
    assert needed(plan, store) == {}


def test_a_step_set_aside_for_damage_is_made_again(plan, store):
    run(plan, store, Fake(store), Silent())
    key = plan.runs[0].sets[0].evaluate
    (store.home(key) / "artifact.txt").write_text("changed")
    fresh = Store(store.root)
    with pytest.raises(Exception, match="corrupt"):
        fresh.file(key, "artifact.txt")
    assert set(needed(plan, fresh)) >= {key}
    assert key in run(plan, fresh, Fake(fresh), Silent()).executed


def test_events_are_written_as_they_happen(plan, store, tmp_path):
    folder = StudyFolder(tmp_path, "tiny")
    broken = plan.runs[0].sets[0].train
    observer = EventLog(folder, Silent())
    run(plan, store, Fake(store, **{"k" + broken: "failed"}), observer)
    observer.progressed(plan.steps[broken], 1, 2)
    events = [json.loads(line) for line in folder.events.read_text().splitlines()]
    assert {event["event"] for event in events} == {"started", "done", "failed", "skipped"}
    (failed,) = [event for event in events if event["event"] == "failed"]
    assert (failed["key"], failed["message"]) == (broken, "it failed")
    starts = [event["key"] for event in events if event["event"] == "started"]
    assert len(starts) == len(set(starts))


def test_progress_reaches_the_observer(plan, store):
    class Slow(Fake):
        def wait(self, timeout_seconds):
            if self.queue and not self.told:
                self.told = True
                return Progressed(self.queue[0], 1, 2)
            return super().wait(timeout_seconds)

    executor, observer = Slow(store), Silent()
    executor.told = False
    run(plan, store, executor, observer)
    assert [heard[0] for heard in observer.heard].count("progressed") == 1


def test_no_two_outcomes_read_alike():
    """In the log of events and on a terminal the word is all that distinguishes them."""
    assert len({outcome.word for outcome in Outcome}) == len(Outcome)


def test_a_failure_ahead_of_500_cycles_skips_them_all(store, toy_study):
    """Beyond 480 cycles it ended in a RecursionError."""
    budget = {"name": "ones", "unit": "images", "initial": 1, "step": 1, "cycles": 500}
    data = {**TOY["datasets"][0], "sequences": 1, "frames": 600}
    long = expand(
        toy_study(datasets=[data], budgets=[budget], methods=["entropy"], baselines=[], seeds=[0])
    )
    first = next(long.in_order())
    summary = run(long, store, Fake(store, **{"k" + first.key: "failed"}), Silent())
    assert set(summary.skipped) == set(long.steps) - {first.key}


def test_a_step_of_several_devices_waits_until_they_are_free(toy_study, store):
    plan = expand(toy_study(execution={"devices": 2}))

    class Counting(Fake):
        """Its slots are devices."""

        at_work = 0

        @property
        def free_slots(self):
            return self.slots - self.at_work

        def submit(self, key, devices=1):
            self.at_work += devices
            assert devices == plan.steps[key].devices
            assert self.at_work <= self.slots
            super().submit(key)

        def wait(self, timeout_seconds):
            event = super().wait(timeout_seconds)
            if event is not None:
                self.at_work -= plan.steps[event.key].devices
            return event

    summary = run(plan, store, Counting(store, slots=3), Silent())
    assert sorted(summary.executed) == sorted(plan.steps)
