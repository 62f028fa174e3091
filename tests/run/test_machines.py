"""Machines that people have: small shared memory, no home, a quota of CPUs, Ctrl-C."""

from __future__ import annotations

import os
import subprocess
from types import SimpleNamespace

import pytest
from factories.images import frames_of, ids

from alspec.models.input import shared_memory
from alspec.models.input.batches import Augmentation, Batches, Order
from alspec.models.input.loader import Feed
from alspec.models.input.shared_memory import affordable_workers
from alspec.run import devices
from alspec.run.devices import cpu_quota, cpu_slots
from alspec.system.interpreter import python_command, python_environment


@pytest.fixture
def feed():
    order = Order(tuple(ids(4)), 2, 1)
    augmentation = Augmentation((24, 40), None, flip=False)
    return Feed(
        Batches(frames_of(), order, augmentation, labelled=True),
        Batches(frames_of(), order, augmentation, labelled=False),
    )


@pytest.mark.parametrize(("free", "started"), [(0, 0), (80_000, 0), (81_000, 2), (1 << 30, 2)])
def test_loader_processes_that_would_hang_are_not_started(feed, monkeypatch, free, started):
    """With a full /dev/shm the first batch never came, and nothing was said."""
    assert feed.batch_bytes() == 2 * 24 * 40 * (4 + 3)
    said: list[str] = []
    about = SimpleNamespace(f_bavail=free, f_frsize=1)
    monkeypatch.setattr(shared_memory.os, "statvfs", lambda _: about)
    assert affordable_workers(feed, 2, said.append) == started
    assert bool(said) == (started == 0)
    assert not said or ("--shm-size" in said[0] and "without loader processes" in said[0])
    assert affordable_workers(feed, 0, said.append) == 0


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({}, None),
        ({"cpu.max": "max 100000"}, None),
        ({"cpu.max": "100000 100000"}, 1.0),
        ({"cpu.max": "250000 100000"}, 2.5),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "150000", "cpu/cpu.cfs_period_us": "100000"}, 1.5),
        ({"cpu.max": "broken"}, None),
        ({"cpu.max": "100000 0"}, None),
    ],
)
def test_the_quota_of_a_container_is_read(tmp_path, files, quota):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert cpu_quota(tmp_path) == quota


@pytest.mark.parametrize(
    ("quota", "slots"), [(None, 8), (1.0, 1), (0.5, 1), (2.5, 3), (2.0, 2), (64.0, 8)]
)
def test_workers_fit_the_quota(monkeypatch, quota, slots):
    monkeypatch.setattr(devices, "cpu_quota", lambda: quota)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert cpu_slots() == slots


def test_a_user_without_home_and_name_gets_both_in_workers(monkeypatch, tmp_path):
    """Every worker died where the system does not know the user (Slurm, cron, containers)."""
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    for name in ("HOME", "USER", "LOGNAME", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pathlib.Path.home", lambda: (_ for _ in ()).throw(RuntimeError()))
    environment = python_environment()
    assert environment["HOME"] == str(tmp_path / f"alspec-home-{os.getuid()}")
    assert os.stat(environment["HOME"]).st_mode & 0o777 == 0o700  # noqa: PTH116
    command = python_command("getpass")
    command[-1] += "\nimport getpass, pathlib; print(getpass.getuser(), pathlib.Path.home())"
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert said.stdout.split() == [f"user-{os.getuid()}", environment["HOME"]]


def test_ctrl_c_says_what_sigterm_says(cli, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("alspec.cli.machine.doctor", interrupted)
    code, _, err = cli("doctor")
    assert code == 130
    assert "stopped by Ctrl-C; run the same command again to continue" in err
