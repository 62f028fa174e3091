from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from contextlib import closing

import pytest

from alspec.store.leases import STALE_SECONDS, Leases
from alspec.system.processes import boot, here, is_abandoned, is_alive, process_tag, start_of

KEY = "a" * 64


@pytest.fixture
def leases(tmp_path):
    made = []

    def one():
        made.append(Leases(tmp_path / "leases"))
        return made[-1]

    yield one
    for each in made:
        each.close()


@pytest.fixture
def gone():
    """The number of a process that has ended."""
    return int(
        subprocess.run(
            [sys.executable, "-c", "import os; print(os.getpid())"],
            capture_output=True, check=True, text=True,
        ).stdout
    )  # fmt: skip


def written(leases, number=1, *, age=0.0, text=None, **said):
    """A lease file of another process, last touched some seconds ago."""
    folder = leases.folder
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{KEY}.{number}"
    holder = {
        "host": "far", "here": "0" * 8, "boot": "b", "process": 7, "start": "9", **said,
    }  # fmt: skip
    path.write_text(json.dumps(holder) if text is None else text)
    stamp = path.stat().st_mtime - age
    os.utime(path, (stamp, stamp))
    return path


def files(leases):
    return sorted(path.name for path in leases.folder.iterdir())


def test_a_claim_is_held_by_one_until_it_is_released(leases):
    first, second = leases(), leases()
    assert first.take(KEY) is None
    assert first.take(KEY) is None
    holder = second.take(KEY)
    assert (holder.process, holder.host) == (os.getpid(), socket.gethostname())
    assert f"process {os.getpid()} on {socket.gethostname()}" in str(holder)
    assert "s ago" in str(holder)
    assert second.take("b" * 64) is None
    first.release(KEY)
    first.release(KEY)
    assert second.take(KEY) is None
    second.close()
    assert files(second) == []


def test_a_dead_process_of_this_machine_loses_its_claim_at_once(leases, gone):
    mine = leases()
    written(mine, here=here(), boot=boot(), process=gone, start="1")
    assert mine.take(KEY) is None
    assert files(mine) == [f"{KEY}.2"]


def test_a_later_process_of_the_same_number_is_not_the_holder(leases):
    mine = leases()
    written(mine, here=here(), boot=boot(), process=os.getppid(), start="no such time")
    assert mine.take(KEY) is None


def test_a_living_process_of_this_machine_is_respected_however_old_its_claim(leases):
    mine, start = leases(), start_of(os.getppid())
    about = {"here": here(), "boot": boot(), "process": os.getppid(), "start": start}
    written(mine, age=1e6, **about)
    assert mine.take(KEY).process == os.getppid()
    assert files(mine) == [f"{KEY}.1"]


@pytest.mark.parametrize(
    "about",
    [{}, {"text": ""}, {"text": "[]"}, {"text": '{"host": 1}'}, {"here": here(), "boot": "before"}],
)
@pytest.mark.parametrize("stale", [False, True])
def test_a_claim_from_elsewhere_stands_for_as_long_as_it_is_touched(leases, stale, about):
    mine = leases()
    written(mine, age=STALE_SECONDS + 1 if stale else STALE_SECONDS - 5, **about)
    assert (mine.take(KEY) is None) is stale


def test_a_clock_that_is_wrong_does_not_age_a_claim(leases, monkeypatch):
    mine = leases()
    written(mine)
    monkeypatch.setattr("time.time", lambda: 4e9)
    assert mine.take(KEY) is not None


def test_touching_keeps_a_claim_young(leases):
    mine = leases()
    assert mine.take(KEY) is None
    path = mine.folder / f"{KEY}.1"
    os.utime(path, (1, 1))
    mine.touch()
    assert path.stat().st_mtime > 1e9


def test_one_that_was_announced_at_the_same_time_makes_the_later_step_back(leases, monkeypatch):
    mine, real = leases(), os.link

    def link(source, target):
        real(source, target)
        written(mine, 4)

    monkeypatch.setattr(os, "link", link)
    assert mine.take(KEY).host == "far"
    assert files(mine) == [f"{KEY}.4"]


def test_one_that_was_quicker_is_the_holder(leases, monkeypatch):
    mine, real = leases(), os.link

    def link(source, target):
        if not target.exists():
            written(mine, 1)
        real(source, target)

    monkeypatch.setattr(os, "link", link)
    assert mine.take(KEY).host == "far"
    assert files(mine) == [f"{KEY}.1"]


def test_a_link_that_the_disk_made_twice_is_ours(leases, monkeypatch):
    mine, real = leases(), os.link

    def link(source, target):
        real(source, target)
        real(source, target)

    monkeypatch.setattr(os, "link", link)
    assert mine.take(KEY) is None


def test_a_disk_without_links_has_claims_too(leases, monkeypatch):
    def refused(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    first, second = leases(), leases()
    assert first.take(KEY) is None
    assert second.take(KEY).process == os.getpid()


def test_marks_tell_whose_they_are(gone):
    own = process_tag()
    assert own != process_tag()
    assert not is_abandoned(f".a.csv.{own}")
    assert is_abandoned(f".a.csv.{here()}-{gone}-0123abcd")
    assert not is_abandoned(f".a.csv.{'0' * 8}-{gone}-0123abcd")
    assert not is_abandoned("a.csv")


def test_a_process_that_waits_to_be_reaped_is_dead():
    child = os.posix_spawn("/bin/true", ["true"], {})
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    try:
        assert not is_alive(child)
    finally:
        os.waitpid(child, 0)
    assert is_alive(os.getpid())


def test_a_claim_that_is_released_between_two_looks_can_be_taken(tmp_path, monkeypatch):
    refused, link = [], os.link

    def once_too_late(source, target):
        if not refused:
            refused.append(target)
            raise FileExistsError(target)  # it was there, and is gone
        link(source, target)

    monkeypatch.setattr(os, "link", once_too_late)
    with closing(Leases(tmp_path)) as leases:
        assert leases.take(KEY) is None
    assert len(refused) == 1
