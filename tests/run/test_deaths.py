"""Pilots that a step kills as a whole: they record nothing, and those after them count."""

from __future__ import annotations

import json
import os
from contextlib import closing

import pytest
from fakes.trainer import Heard, run_study, tiny_plan

from alspec.plan.kinds import TRAIN
from alspec.run.deaths import counted_deaths
from alspec.run.executors.base import Outcome
from alspec.store.failures import DEATHS, Failures
from alspec.store.leases import NETWORK_STALE_SECONDS, Leases
from alspec.store.study_folder import StudyFolder
from alspec.system.processes import SUBMISSION

COMMAND = "the command"


class Killing:
    """A study, one of whose trainings kills the pilots that are at it."""

    def __init__(self, work_dir):
        self.plan = tiny_plan()
        self.folder = StudyFolder(work_dir, self.plan.study.study)
        self.key = next(step.key for step in self.plan.in_order() if step.kind is TRAIN)

    def kill_pilot(self):
        """One on another machine that had begun the training some time ago."""
        with closing(Leases(self.folder.store.folders.leases)) as leases:
            assert leases.take(self.key) is None
            lease = leases._mine.pop(self.key)  # not released
        before = lease.stat().st_mtime - 2 * NETWORK_STALE_SECONDS
        holder = {**json.loads(lease.read_text()), "host": "far", "here": "0", "since": before}
        lease.write_text(json.dumps(holder))
        os.utime(lease, (before, before))

    def write_checkpoint(self):
        folder = self.folder.store.checkpoints(self.key)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "1.safetensors").write_text("numbers")

    def begin_pilot(self):
        """The next one, as far as it clears up what others left."""
        failures = Failures(self.folder.store.folders.failures, COMMAND)
        died = counted_deaths(self.plan, self.folder.store, failures)
        with closing(Leases(self.folder.store.folders.leases, died=died)) as leases:
            leases.clear()

    def events(self):
        found, _ = self.folder.events_from(0)
        return [event["event"] for event in found if event.get("key") == self.key]


@pytest.fixture
def killing(tmp_path, monkeypatch):
    monkeypatch.setenv(SUBMISSION, COMMAND)
    return Killing(tmp_path)


def test_a_step_that_kills_pilots_is_given_up(killing, tmp_path, monkeypatch):
    for _ in range(DEATHS):
        killing.kill_pilot()
        killing.begin_pilot()
    summary, _ = run_study(tmp_path, killing.plan)
    assert list(summary.failed) == [killing.key]
    assert "3 processes in a row were killed at it, the last was process" in str(summary.failed)
    assert "on far" in str(summary.failed)
    assert {*summary.executed, *summary.skipped, killing.key} == set(killing.plan.steps)
    assert set(killing.plan.consumers()[killing.key]) <= set(summary.skipped)

    monkeypatch.setenv(SUBMISSION, "the next command")
    summary, _ = run_study(tmp_path, killing.plan)
    assert not summary.failed
    assert killing.key in summary.executed


def test_who_counts_the_last_death_records_the_failure(killing, tmp_path):
    """So that `status` and the command that watches hear of it."""
    for _ in range(DEATHS - 1):
        killing.kill_pilot()
        killing.begin_pilot()
    killing.kill_pilot()
    observer = Heard()
    summary, _ = run_study(tmp_path, killing.plan, observer=observer)
    assert list(summary.failed) == [killing.key]
    assert [outcome for outcome, _ in observer.ends].count(Outcome.LOST) == 1
    assert killing.events() == ["lost"]
    observer = Heard()
    summary, _ = run_study(tmp_path, killing.plan, observer=observer)  # the next pilot
    assert list(summary.failed) == [killing.key]
    assert [outcome for outcome, _ in observer.ends].count(Outcome.FAILED_ELSEWHERE) == 1
    assert killing.events() == ["lost"]


def test_a_pilot_that_got_further_before_it_was_killed_does_not_count(killing, tmp_path):
    for _ in range(2 * DEATHS):
        killing.kill_pilot()
        killing.write_checkpoint()
        killing.begin_pilot()
    summary, _ = run_study(tmp_path, killing.plan)
    assert not summary.failed
    assert killing.key in summary.executed
