"""Failed steps in the store: which run tries them again, on which machine."""

from __future__ import annotations

import pytest

from alspec.store.failures import DEATHS, MACHINES, Failures
from alspec.store.leases import Holder

KEY = "a" * 64


@pytest.fixture
def on(monkeypatch):
    """Puts this process on a machine."""
    return lambda host: monkeypatch.setattr("socket.gethostname", lambda: host)


def test_a_step_is_tried_on_two_machines_by_the_runs_of_one_command(tmp_path, on):
    assert MACHINES == 2
    on("one")
    Failures(tmp_path, "s").record(KEY, "NaN", "log.txt")
    assert "on one: NaN" in str(Failures(tmp_path, "s").final(KEY))
    on("two")
    later = Failures(tmp_path, "s")
    assert later.final(KEY) is None
    later.record(KEY, "NaN again", "log.txt")
    for host in ("one", "two", "three"):
        on(host)
        assert "on one and two: NaN again" in str(Failures(tmp_path, "s").final(KEY))


def test_another_command_tries_again_what_failed_before_it_began(tmp_path, on):
    on("one")
    first, beside = Failures(tmp_path, "s"), Failures(tmp_path, "beside")
    first.record(KEY, "NaN", "")
    assert beside.final(KEY) is not None  # it had begun by then
    later = Failures(tmp_path, "later")
    assert later.final(KEY) is None
    later.record(KEY, "NaN", "")
    assert [each.final(KEY).submission for each in (first, beside, later)] == ["later"] * 3
    on("two")
    assert later.final(KEY) is None  # the machine of the first command does not count
    later.forget(KEY)
    assert first.final(KEY) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"hosts": 1}', '{"hosts": [], "x": 1}'])
def test_a_failure_that_cannot_be_read_stops_nobody(tmp_path, text):
    (tmp_path / f"{KEY}.json").write_text(text)
    assert Failures(tmp_path, "s").final(KEY) is None


def test_a_step_at_which_processes_are_killed_is_tried_a_few_times(tmp_path, on):
    on("one")
    killed = Holder("node7", "0" * 8, "b", 12, "9", job="slurm-3_1")
    for number in range(1, DEATHS + 1):
        assert Failures(tmp_path, "s").final(KEY) is None
        Failures(tmp_path, "s").record_death(KEY, killed)
        assert Failures(tmp_path, "other").final(KEY) is None  # a user's next command tries again
        assert (Failures(tmp_path, "s").final(KEY) is None) == (number < DEATHS)
    said = str(Failures(tmp_path, "s").final(KEY))
    assert "3 processes in a row were killed at it" in said
    assert "process 12 on node7 (slurm-3_1)" in said
    Failures(tmp_path, "other").record_death(KEY, killed)
    assert Failures(tmp_path, "other").final(KEY) is None


def test_a_death_takes_nothing_from_what_failed_on_a_machine(tmp_path, on):
    on("one")
    Failures(tmp_path, "s").record(KEY, "NaN", "")
    Failures(tmp_path, "s").record_death(KEY, Holder("two", "0" * 8, "b", 12, "9"))
    assert Failures(tmp_path, "s").final(KEY) is not None
    on("two")
    assert Failures(tmp_path, "s").final(KEY) is None


def test_a_death_after_a_failure_keeps_why_it_failed(tmp_path):
    failures = Failures(tmp_path, "s")
    failures.record(KEY, "the loss is NaN", "worker.log")
    failures.record_death(KEY, Holder("two", "0" * 8, "b", 12, "9"))
    (found,) = [failures.final(KEY)]
    assert found is not None
    assert (found.log, found.deaths) == ("worker.log", 1)
    assert "the loss is NaN; then a process was killed at it, the last was " in str(found)
