"""Steps that several workers do together, with workers that are shell scripts."""

from __future__ import annotations

import os
import sys

import pytest
from factories.processes import has_ended

from alspec.run.executors import local
from alspec.run.executors.base import Outcome, Progressed, Workplace
from alspec.run.executors.group import Assignment
from alspec.run.executors.local import LocalExecutor

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs a shell")
KEY = "a" * 64
DONE = """echo '{"event": "done"}'"""


@pytest.fixture
def executor(tmp_path, monkeypatch):
    """Makes an executor whose workers are a script: it reads `key rank count meeting`."""
    made = []

    def with_worker(script, *devices):
        path = tmp_path / "worker"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(path))
        monkeypatch.setattr(local, "STOP_SECONDS", 0.2)
        monkeypatch.setattr(local, "FOLLOW_SECONDS", 0.2)
        made.append(LocalExecutor(Workplace(tmp_path / "store", devices, tmp_path / "logs")))
        return made[-1]

    yield with_worker
    for one in made:
        one.close()


@pytest.mark.parametrize("given", [Assignment(KEY), Assignment(KEY, 1, 4, "/tmp/a folder/1")])
def test_an_assignment_is_read_as_it_was_written(given):
    assert Assignment.of(given.to_line()) == given


def test_a_group_meets_reports_through_its_first_and_ends_when_all_have(executor, tmp_path):
    one = executor(
        f"""while read key rank count meeting; do echo "$rank $count $meeting" >> {tmp_path}/read
        [ "$rank" = 0 ] && echo '{{"event": "progress", "done": 1, "total": 2}}'
        {DONE}; done""",
        *["cpu"] * 3,
    )
    meetings = set()
    for key in (KEY, "b" * 64):
        assert one.has_room(3)
        assert not one.has_room(4)
        one.submit(key, 2)
        assert one.wait(10) == Progressed(key, 1, 2)
        ended = one.wait(10)
        assert (ended.key, ended.outcome) == (key, Outcome.DONE)
        assert one.wait(0.05) is None, "one event for the group"
        lines = [line.split() for line in (tmp_path / "read").read_text().splitlines()]
        assert sorted(line[0] for line in lines[-2:]) == ["0", "1"]
        meetings.add(lines[-1][2])
    assert len(meetings) == 2
    assert not any(os.path.exists(meeting) for meeting in meetings)  # noqa: PTH110 - nobody met


def test_a_group_takes_different_gpus(executor, tmp_path):
    one = executor(
        f"""case "$*" in *cuda:0*) d=0;; *) d=1;; esac
        while read key rank rest; do echo $d >> {tmp_path}/used; {DONE}; done""",
        "cuda:0", "cuda:0", "cuda:1", "cuda:1",
    )  # fmt: skip
    assert one.has_room(2)
    assert not one.has_room(3)
    one.submit(KEY, 2)
    one.submit("b" * 64, 2)
    assert {one.wait(10).key for _ in range(2)} == {KEY, "b" * 64}
    assert sorted((tmp_path / "used").read_text().split()) == ["0", "0", "1", "1"]


def test_a_dead_worker_ends_the_others_and_is_named(executor, tmp_path):
    one = executor(
        f"""echo $$ >> {tmp_path}/pids; read key rank count meeting
        [ "$rank" = 1 ] && kill -9 $$
        sleep 600""",
        "cpu", "cpu", "cpu",
    )  # fmt: skip
    one.submit(KEY, 3)
    ended = one.wait(20)
    assert (ended.key, ended.outcome) == (KEY, Outcome.LOST)
    assert "process 2 of 3 (cpu): the worker process ended with signal SIGKILL" in ended.message
    assert ended.log.endswith("worker-1.txt")
    assert one.has_room(3), "no slot is lost"
    one.close()
    assert all(has_ended(int(pid)) for pid in (tmp_path / "pids").read_text().split())


def test_what_only_follows_is_not_the_cause(executor):
    one = executor(
        """read key rank rest
        if [ "$rank" = 1 ]; then echo '{"event": "failed", "message": "no such file"}'; else
        echo '{"event": "failed", "message": "another process ended", "follows": true}'; fi
        read key""",
        "cpu", "cpu",
    )  # fmt: skip
    one.submit(KEY, 2)
    ended = one.wait(10)
    assert (ended.outcome, ended.message) == (
        Outcome.FAILED,
        "process 2 of 2 (cpu): no such file",
    )


def test_what_all_say_is_said_once(executor):
    one = executor(
        """while read key rank rest; do echo '{"event": "failed", "message": "diverged"}'; done""",
        "cpu", "cpu",
    )  # fmt: skip
    one.submit(KEY, 2)
    assert one.wait(10).message == "diverged"
    one.submit("b" * 64, 2)  # by new workers
    assert one.wait(10).message == "diverged"


def test_a_step_that_its_first_worker_committed_is_done(executor):
    one = executor(
        f"""read key rank rest; [ "$rank" = 1 ] && exit 1; sleep 0.1; {DONE}; read key""",
        "cpu", "cpu",
    )  # fmt: skip
    one.submit(KEY, 2)
    assert one.wait(10).outcome is Outcome.DONE
