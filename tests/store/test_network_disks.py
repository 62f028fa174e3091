"""Leases on network disks: which file system it is, when a silent process counts as dead."""

from __future__ import annotations

import json
import os
from contextlib import closing
from dataclasses import asdict, replace

import pytest

from alspec.store import leases as module
from alspec.store.leases import (
    HEARTBEAT_SECONDS,
    NETWORK_STALE_SECONDS,
    STALE_SECONDS,
    Holder,
    Leases,
    living_holders,
    stale_seconds,
)
from alspec.system import mounts

MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
server:/home /home nfs4 rw,vers=4.2 0 0
/dev/sdb1 /home/me/scratch xfs rw 0 0
10.0.0.1@tcp:/work /lustre/my\\040work lustre rw 0 0
sshfs#me@host: /mnt/far fuse.sshfs rw 0 0
tmpfs /home/me/scratch/ram tmpfs rw 0 0
beegfs_nodev /bee beegfs rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind", "network"),
    [
        ("/data/x", "ext4", False),
        ("/home/me/work_dirs", "nfs4", True),
        ("/home/me/scratch/work_dirs", "xfs", False),
        ("/home/me/scratch/ram/x", "tmpfs", False),
        ("/lustre/my work/x", "lustre", True),
        ("/mnt/far/x", "fuse.sshfs", True),
        ("/bee", "beegfs", True),
        ("/homework", "ext4", False),
    ],
)
def test_the_file_system_of_a_path_is_that_of_its_mount(tmp_path, path, kind, network):
    table = tmp_path / "mounts"
    table.write_text(MOUNTS)
    assert mounts.file_system_of(mounts.Path(path), table) == kind
    assert mounts.is_on_network(mounts.Path(path), table) == network


def test_where_the_system_tells_nothing_it_is_no_network(tmp_path):
    assert mounts.file_system_of(tmp_path, tmp_path / "none") == ""
    assert not mounts.is_on_network(tmp_path, tmp_path / "none")


def written(folder, age, key="a" * 64):
    """A lease of another machine that was last touched so long ago, by the disk's clock."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{key}.1"
    other = replace(Holder.me(), host="other", here="0" * 8, boot="b")
    path.write_text(json.dumps(asdict(other)))
    stamp = path.stat().st_mtime - age
    os.utime(path, (stamp, stamp))
    return key


@pytest.mark.parametrize("network", [False, True])
@pytest.mark.parametrize("clock", [-300.0, 0.0, 300.0])
def test_the_limit_is_the_disks_and_no_clock_of_a_machine_matters(
    tmp_path, monkeypatch, network, clock
):
    """A machine whose clock is 5 minutes off neither steals a living lease nor waits for ever."""
    now = module.time.time()
    monkeypatch.setattr(module, "is_on_network", lambda _: network)
    monkeypatch.setattr("time.time", lambda: now + clock)
    limit = NETWORK_STALE_SECONDS if network else STALE_SECONDS
    assert stale_seconds(tmp_path) == limit
    for number, (age, alive) in enumerate([(limit - 10, True), (limit + 2, False)]):
        folder = tmp_path / f"leases-{number}"
        key = written(folder, age)
        assert set(living_holders(folder, {key})) == ({key} if alive else set())
        with closing(Leases(folder)) as mine:
            assert (mine.take(key) is not None) == alive


def test_a_living_process_is_heard_of_several_times_before_it_counts_as_dead():
    assert STALE_SECONDS >= 5 * HEARTBEAT_SECONDS
    cached, server_restart = 60.0, 90.0  # acregmax of NFS, its grace period
    assert HEARTBEAT_SECONDS + cached + server_restart <= NETWORK_STALE_SECONDS


def test_a_lease_of_another_process_under_the_same_name_is_read_again(tmp_path):
    with closing(Leases(tmp_path)) as mine:
        key = written(tmp_path, 1.0)
        (path,) = mine.listed()[key]
        assert mine.seen(path).host == "other"
        text = path.read_text().replace('"other"', '"third"')
        path.write_text(text)
        os.utime(path, (path.stat().st_mtime - 2,) * 2)
        assert mine.seen(path).host == "third"


def test_doctor_says_both(tmp_path, monkeypatch, cli):
    from alspec.run import doctor

    monkeypatch.setattr(doctor, "file_system_of", lambda _: "nfs4")
    monkeypatch.setattr(module, "is_on_network", lambda _: True)
    trial = type("Done", (), {"returncode": 0, "stdout": "ok", "stderr": ""})
    monkeypatch.setattr(doctor.subprocess, "run", lambda *_, **__: trial)
    _, out, _ = cli("doctor", "--work-dir", tmp_path)
    assert "file system: nfs4; leases are taken over after 180 s without a heartbeat" in out
