from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from alspec.store.drafts import new_draft, sweep, sweep_unleased
from alspec.store.leases import STALE_SECONDS, Leases
from alspec.system import processes
from alspec.system.processes import (
    boot,
    here,
    is_abandoned,
    is_alive,
    is_left_behind,
    process_tag,
    start_of,
)

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
    [{}, {"text": "[]"}, {"text": '{"host": 1}'}, {"here": here(), "boot": "before"}],
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


def test_a_live_process_that_the_system_hides_keeps_its_lease(leases, monkeypatch):
    """With /proc mounted hidepid another user took a live lease over at once."""
    mine, start = leases(), start_of(os.getppid())
    about = {"here": here(), "boot": boot(), "process": os.getppid(), "start": start}
    monkeypatch.setattr(processes, "_fields", lambda _: [])
    path = written(mine, age=STALE_SECONDS - 5, **about)
    assert mine.take(KEY).process == os.getppid()
    os.utime(path, (path.stat().st_mtime - 10,) * 2)
    assert mine.take(KEY) is None  # a later process of that number does not touch it


def test_a_second_machine_of_the_same_name_sweeps_nothing_of_the_first(tmp_path, gone, monkeypatch):
    """Cloned machines have one host name; what tells them apart is when they were started."""
    draft = new_draft(tmp_path, KEY)
    draft = draft.rename(draft.with_name(f"{KEY[:16]}-{here()}-{gone}-0123abcd"))
    here.cache_clear()
    monkeypatch.setattr(processes, "boot", lambda: "another")
    sweep(tmp_path)
    new_draft(tmp_path, KEY)
    assert draft.is_dir()
    monkeypatch.undo()
    here.cache_clear()
    sweep(tmp_path)
    assert not draft.exists()


@pytest.mark.parametrize(("age", "taken"), [(5, False), (11, True)])
def test_an_empty_lease_of_a_power_cut_makes_nobody_wait(leases, age, taken):
    mine = leases()
    written(mine, age=age, text="")
    assert (mine.take(KEY) is None) is taken


def test_a_lease_is_on_the_disk_before_it_has_its_name(leases, monkeypatch):
    order, link = [], os.link
    monkeypatch.setattr(os, "fsync", lambda _: order.append("sync"))
    monkeypatch.setattr(os, "link", lambda *paths: (order.append("link"), link(*paths)))
    assert leases().take(KEY) is None
    assert order == ["sync", "link"]


def test_a_dead_lease_of_somebody_else_in_a_sticky_folder_stops_nobody(leases, gone, monkeypatch):
    mine, unlink = leases(), Path.unlink
    dead = written(mine, here=here(), boot=boot(), process=gone, start="1")

    def refused(path, missing_ok=False):
        if path == dead:
            raise PermissionError(1, "Operation not permitted", str(path))
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", refused)
    assert mine.take(KEY) is None
    assert files(mine) == [f"{KEY}.1", f"{KEY}.2"]
    assert leases().take(KEY).process == os.getpid()


def test_a_lease_from_the_future_ages_from_when_it_was_seen(leases, monkeypatch):
    """A clock that was set back made a dead lease look fresh for as long as the clocks differ."""
    mine, now = leases(), [0.0]
    monkeypatch.setattr("alspec.store.leases.time.monotonic", lambda: now[0])
    path = written(mine, age=-3 * 3600)
    assert "10800 s in the future" in str(mine.take(KEY))
    now[0] = STALE_SECONDS - 1
    assert mine.take(KEY) is not None
    os.utime(path, (path.stat().st_mtime + 1,) * 2)  # its holder lives
    now[0] += 5
    assert mine.take(KEY) is not None
    now[0] += STALE_SECONDS
    assert mine.take(KEY) is None


def test_what_a_machine_that_was_switched_off_has_left_is_swept(tmp_path):
    keys = ["a" * 64, "b" * 64]
    for key in keys:
        (tmp_path / f"{key[:16]}-{'0' * 8}-7-0123abcd").mkdir()
    (tmp_path / f"calibration-{'0' * 8}-7-0123abcd").mkdir()
    sweep_unleased(tmp_path, lambda: {keys[1]})
    assert sorted(path.name[:3] for path in tmp_path.iterdir()) == ["bbb", "cal"]


@pytest.mark.parametrize(("hours", "left"), [(1, False), (25, True)])
def test_a_half_written_file_of_another_machine_goes_after_a_day(tmp_path, hours, left):
    path = tmp_path / f".a.csv.{'0' * 8}-7-0123abcd"
    path.write_text("")
    os.utime(path, (path.stat().st_mtime - 3600 * hours,) * 2)
    assert is_left_behind(path) is left
    sweep(tmp_path)
    assert path.exists() is not left


def test_the_keys_of_leases_are_told(leases):
    mine = leases()
    mine.take(KEY)
    written(mine, 2)
    (mine.folder / f"asked.{process_tag()}").write_text("")
    assert mine.keys() == {KEY}
