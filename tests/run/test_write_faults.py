"""A disk that fails at any write: said with path and cause, nothing half-written, goes on later."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest
import yaml
from factories.disk import disk_of
from factories.toy import TOY
from fakes.trainer import FakeTrainer, drawn, results_of, tiny_plan

from alspec.errors import ExitCode
from alspec.system import failpoints

CAUSES = ("ENOSPC", "EDQUOT", "EIO", "EACCES", "EROFS")
POINTS = [
    ("file.open", 1), ("file.write", 2), ("file.sync", 3), ("file.rename", 4), ("file.open", -1),
    ("file.write", -4), ("file.sync", -5), ("file.rename", -2), ("sync", 1), ("sync", -2),
    ("commit.draft", 2), ("commit.manifest", 3), ("commit.rename", 4), ("drop.unlink", 1),
    ("recipe.write", 2), ("lease.write", 1), ("lease.link", 2), ("lease.release", 3),
    ("events.append", 3), ("retention.write", 1),
]  # fmt: skip
"""A point and its pass; from the end where negative: those are the tables and the report."""

CALLS = ("mkdir", "fsync", "rename", "replace", "open", "link")


@pytest.fixture(autouse=True)
def _fake_trainer(monkeypatch):
    monkeypatch.setattr("alspec.run.executors.local.LocalExecutor", FakeTrainer)
    monkeypatch.setattr("alspec.report.album.Album.draw", drawn)
    monkeypatch.setattr("alspec.run.preflight.data.check_data", lambda *_: {})
    # The model is made up, and here the disk is to become full in the middle of a run.
    monkeypatch.setattr("alspec.run.preflight.disk.require_disk_space", lambda _: "")
    monkeypatch.setattr("os.fsync", lambda _: None)
    monkeypatch.setattr(failpoints, "passed", failpoints.Counter())


@pytest.fixture
def spec(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(TOY))
    return path


@pytest.fixture(scope="module")
def plan():
    return tiny_plan()


@pytest.fixture
def whole(cli, spec, tmp_path, plan, monkeypatch):
    """What is published without a fault, and how often each point is passed."""
    monkeypatch.setenv(failpoints.FAULT, "none:0:kill")
    assert cli("run", spec, "--work-dir", tmp_path / "whole")[0] == ExitCode.DONE
    counts = dict(failpoints.passed)
    monkeypatch.delenv(failpoints.FAULT)
    return results_of(tmp_path / "whole", plan), counts


def says(text, cause):
    return os.strerror(getattr(errno, cause)) in " ".join(text.split())


def goes_on(cli, spec, work_dir, plan, results, case):
    code, _, err = cli("run", spec, "--work-dir", work_dir)
    assert (code, "corrupt" in err) == (ExitCode.DONE, False), case
    assert results_of(work_dir, plan) == results, case


def test_there_are_at_least_75_cases():
    assert len(CAUSES) * (len(POINTS) + len(CALLS)) >= 75


@pytest.mark.parametrize(
    "turn",
    [pytest.param(n, marks=pytest.mark.slow if n else ()) for n in range(len(CAUSES))],
)
@pytest.mark.parametrize("half", [0, 1])
def test_a_fault_at_a_named_point(cli, spec, tmp_path, plan, whole, monkeypatch, turn, half):
    """Each cause at a fifth of the points; in all turns, each at each."""
    results, counts = whole
    for place, (point, number) in [*enumerate(POINTS)][half::2]:
        cause = CAUSES[(place + turn) % len(CAUSES)]
        work_dir, case = tmp_path / f"{point}{number}", f"{cause} at {point}, pass {number}"
        n = number if number > 0 else counts[point] + 1 + number
        failpoints.passed.clear()
        monkeypatch.setenv(failpoints.FAULT, f"{point}:{n}:{cause}")
        code, _, err = cli("run", spec, "--work-dir", work_dir)
        assert code in (ExitCode.STEP_FAILED, ExitCode.STORE_DAMAGED), case
        assert says(err, cause), case
        assert str(work_dir) in err, case
        assert "Traceback" not in err, case
        monkeypatch.delenv(failpoints.FAULT)
        goes_on(cli, spec, work_dir, plan, results, case)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("cause", CAUSES)
def test_a_system_call_that_fails_from_some_moment_on(
    cli, spec, tmp_path, plan, whole, monkeypatch, cause, call
):
    results, _ = whole
    work_dir, calls, real = tmp_path / "work", 0, getattr(os, call)
    code = getattr(errno, cause)

    def failing(*given, **options):
        nonlocal calls
        if str(work_dir) in str(given[0]) or call == "fsync":
            calls += 1
            if calls > 5:
                raise OSError(code, os.strerror(code), None if call == "fsync" else str(given[0]))
        return real(*given, **options)

    with monkeypatch.context() as patched:
        patched.setattr(os, call, failing)
        code_told, _, err = cli("run", spec, "--work-dir", work_dir)
    assert calls > 5
    assert code_told in (ExitCode.STEP_FAILED, ExitCode.STORE_DAMAGED)
    assert says(err, cause)
    assert str(work_dir) in err
    assert "Traceback" not in err
    goes_on(cli, spec, work_dir, plan, results, f"{cause} in {call}")


def test_a_report_that_cannot_be_written_says_so(cli, spec, tmp_path, whole, monkeypatch):
    monkeypatch.setenv(failpoints.FAULT, "file.write:1:ENOSPC")
    failpoints.passed.clear()
    code, _, err = cli("report", spec, "--work-dir", tmp_path / "whole")
    assert code == ExitCode.STORE_DAMAGED
    assert says(err, "ENOSPC")
    assert "results.csv" in err


def test_a_disk_that_is_really_full(cli, spec, tmp_path, plan, whole):
    results, _ = whole
    with disk_of(tmp_path / "disk", "256k") as disk:
        ballast = disk / "ballast"
        fill(ballast, left=24 * 1024)
        code, _, err = cli("run", spec, "--work-dir", disk / "work")
        assert code in (ExitCode.STEP_FAILED, ExitCode.STORE_DAMAGED)
        assert says(err, "ENOSPC")
        assert str(disk) in err
        assert "Traceback" not in err
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        goes_on(cli, spec, disk / "work", plan, results, "a full disk")


def fill(path: Path, left):
    """Write a file that leaves this many bytes of its disk."""
    room = os.statvfs(path.parent)
    path.write_bytes(bytes(room.f_bavail * room.f_frsize - left))
