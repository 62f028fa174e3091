"""A disk whose power can be cut: ext4 on a loop device; what was not synced is lost."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

_SHUTDOWN = 0x8004587D
"""EXT4_IOC_SHUTDOWN of Linux, `_IOR('X', 125, __u32)`."""
_WITHOUT_FLUSH = (2).to_bytes(4, "little")
"""EXT4_GOING_FLAGS_NOLOGFLUSH: neither data nor journal are written any more."""


class Disk:
    """A mounted file system of its own, which needs root."""

    def __init__(self, folder: Path, megabytes: int = 3000) -> None:
        folder.mkdir(parents=True)
        self.image, self.root = folder / "disk.img", folder / "disk"
        self.root.mkdir()
        with self.image.open("wb") as file:
            file.truncate(megabytes << 20)
        _run("mkfs.ext4", "-q", "-F", self.image)
        self._mount()

    def cut(self) -> None:
        """Power off: from now on nothing reaches the disk."""
        descriptor = os.open(self.root, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _SHUTDOWN, _WITHOUT_FLUSH)
        finally:
            os.close(descriptor)

    def on_again(self) -> None:
        """Power on: the journal is replayed, as after any cut. Nobody may have files open."""
        self.close()
        _run("e2fsck", "-p", self.image)
        self._mount()

    def close(self) -> None:
        """Unmount it."""
        _run("umount", self.root)

    def _mount(self) -> None:
        # Nothing but what is synced is written of its own accord.
        _run("mount", "-o", "loop,commit=300", self.image, self.root)


def can_cut_power() -> bool:
    """Whether this machine lets us mount disks."""
    tools = ("mkfs.ext4", "mount", "umount", "e2fsck")
    there = all(shutil.which(tool, path="/usr/sbin:/sbin:/usr/bin:/bin") for tool in tools)
    return there and os.geteuid() == 0 and Path("/dev/loop-control").exists()


def _run(*command: object) -> None:
    path = {"PATH": "/usr/sbin:/sbin:/usr/bin:/bin"}
    done = subprocess.run(list(map(str, command)), capture_output=True, env=path, check=False)
    assert done.returncode in (0, 1), done.stderr  # 1: e2fsck has replayed the journal
