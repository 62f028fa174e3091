"""The local executor with workers that are shell scripts."""

from __future__ import annotations

import errno
import os
import sys

import pytest
from factories.processes import has_ended

from alspec.run.executors import local
from alspec.run.executors.base import Ended, Outcome, Progressed, Workplace
from alspec.run.executors.local import LocalExecutor
from alspec.system import failpoints

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs a shell")
KEY = "a" * 64


@pytest.fixture
def executor(tmp_path, monkeypatch):
    """Makes an executor of one slot whose worker is a script; closed in the end."""
    made = []

    def with_worker(script, slots=1):
        path = tmp_path / "worker"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(path))
        monkeypatch.setattr(local, "STOP_SECONDS", 0.2)
        made.append(
            LocalExecutor(Workplace(tmp_path / "store", ["cpu"] * slots, tmp_path / "logs"))
        )
        return made[-1]

    yield with_worker
    for one in made:
        one.close()


def test_a_worker_serves_one_step_after_another(executor):
    one = executor("""while read key; do
        echo '{"event": "progress", "done": 1, "total": 2}'
        echo '{"event": "done"}'
        done""")
    for key in (KEY, "b" * 64):
        assert one.free_slots == 1
        one.submit(key)
        assert one.wait(10) == Progressed(key, 1, 2)
        ended = one.wait(10)
        assert (ended.key, ended.outcome) == (key, Outcome.DONE)
    assert one.wait(0.01) is None


def test_a_failed_step_says_why(executor):
    one = executor("""read key; echo '{"event": "failed", "message": "too big"}'; read key""")
    one.submit(KEY)
    ended = one.wait(10)
    assert (ended.outcome, ended.message) == (Outcome.FAILED, "too big")
    assert ended.log.endswith("worker-0.txt")


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo no torch >&2; exit 3", "exit code 3; no torch"),
        ("""read key; echo '{"ev'; kill -9 $$""", "signal SIGKILL (out of memory?)"),
        ("read key; kill -15 $$", "signal SIGTERM"),
    ],
)
def test_a_worker_that_dies_loses_its_step_and_is_replaced(executor, script, words):
    one = executor(script)
    for key in (KEY, "b" * 64):
        one.submit(key)
        ended = one.wait(10)
        assert isinstance(ended, Ended)
        assert (ended.key, ended.outcome) == (key, Outcome.LOST)
        assert words in ended.message
        assert one.free_slots == 1


def test_every_submitted_step_ends_even_if_its_worker_is_gone(executor):
    one = executor("""read key; echo '{"event": "done"}'""")
    for n in range(30):  # the worker ends while the next step is handed over
        key = f"{n:064d}"
        one.submit(key)
        ended = one.wait(10)
        assert ended is not None
        assert ended.key == key


def test_close_leaves_no_process_behind(executor, tmp_path):
    one = executor(f"""sleep 60 & echo $$ $! > {tmp_path}/pids
        read key; echo '{{"event": "progress", "done": 0, "total": 1}}'; wait""")
    one.submit(KEY)
    assert isinstance(one.wait(10), Progressed)
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert len(pids) == 2
    one.close()
    one.close()
    assert all(has_ended(pid) for pid in pids)


def test_close_asks_a_worker_at_work_to_stop_and_lets_it_finish(executor, tmp_path, monkeypatch):
    one = executor(f"""read key; echo '{{"event": "progress", "done": 0, "total": 1}}'
        read line; echo "$line" > {tmp_path}/told""")
    monkeypatch.setattr(local, "STOP_SECONDS", 10.0)
    one.submit(KEY)
    assert isinstance(one.wait(10), Progressed)
    one.close()
    assert (tmp_path / "told").read_text() == "stop\n"


def test_workers_that_were_warmed_up_take_the_steps(executor, tmp_path):
    one = executor(
        f"""echo $$ >> {tmp_path}/pids; echo '{{"event": "ready"}}'
        while read key; do echo '{{"event": "done"}}'; done""",
        2,
    )
    for steps in (range(2), range(2, 4)):
        one.warm_up()
        assert one.free_slots == 2
        for n in steps:
            one.submit(f"{n:064d}")
        assert {one.wait(10).key for _ in steps} == {f"{n:064d}" for n in steps}
    assert len((tmp_path / "pids").read_text().split()) == 2, "no other worker was started"


def test_a_worker_that_died_warming_up_is_replaced(executor, tmp_path):
    one = executor(f"""[ -e {tmp_path}/once ] || {{ touch {tmp_path}/once; exit 1; }}
        while read key; do echo '{{"event": "done"}}'; done""")
    one.warm_up()
    one.submit(KEY)
    ended = one.wait(10)
    if ended.outcome is Outcome.LOST:  # handed over before its end was noticed
        one.submit(KEY)
        ended = one.wait(10)
    assert (ended.key, ended.outcome) == (KEY, Outcome.DONE)


@pytest.mark.parametrize("cause", ["ENOSPC", "EDQUOT", "EIO", "EACCES", "EROFS"])
def test_a_log_that_cannot_be_written_is_told_before_a_worker_starts(
    executor, tmp_path, monkeypatch, cause
):
    one = executor(f"touch {tmp_path}/started")
    monkeypatch.setattr(failpoints, "passed", failpoints.Counter())
    monkeypatch.setenv(failpoints.FAULT, f"log.open:1:{cause}")
    with pytest.raises(OSError, match=os.strerror(getattr(errno, cause))) as caught:
        one.submit(KEY)
    assert caught.value.filename == str(tmp_path / "logs/worker-0.txt")
    assert one.free_slots == 1
    one.close()
    assert not (tmp_path / "started").exists()


def test_what_a_step_was_done_in_spite_of_is_told(executor):
    one = executor("""read key; echo '{"event": "done", "message": "no checkpoint"}'; read key""")
    one.submit(KEY)
    ended = one.wait(10)
    assert (ended.outcome, ended.message) == (Outcome.DONE, "no checkpoint")
