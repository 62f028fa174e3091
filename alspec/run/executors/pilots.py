"""What a cluster owes a study: to start pilots, `alspec run` on other machines, and to count them.

Pilots find their work by themselves, through the leases of the store; the store says what is done,
never the cluster.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from alspec.system.interpreter import alspec_command


@dataclass(frozen=True, slots=True)
class PilotCommand:
    """The command that each pilot runs, the same for all of them.

    Attributes:
        spec: the study's file, absolute.
        work_dir: where its folder and the store are, absolute.
        overrides: as in `--set`.
        devices: as `--devices`, of one pilot.
        idle: as `--idle`.
        options: more options of `alspec run`.
        submission: names the command that starts them, for `processes.submission`.
    """

    spec: Path
    work_dir: Path
    overrides: Sequence[str]
    devices: str
    idle: str
    options: Sequence[str] = ()
    submission: str = field(default_factory=lambda: uuid.uuid4().hex)

    def arguments(self) -> list[str]:
        """The whole command."""
        command = ["run", str(self.spec), "--executor", "local"]
        command += ["--work-dir", str(self.work_dir)]
        command += ["--devices", self.devices, "--idle", self.idle]
        for override in self.overrides:
            command += ["--set", override]
        return alspec_command([*command, *self.options])


def workers_on_cpus(devices: str) -> int | None:
    """How many workers on CPUs a pilot has, by its `--devices`; None for GPUs and all CPUs."""
    kind, _, workers = devices.partition(":")
    return int(workers) if kind == "cpu" and workers.isdigit() else None


@dataclass(frozen=True, slots=True)
class Census:
    """Which pilots of a study a cluster has.

    Attributes:
        running: that are at work, or end just now.
        waiting: that it has yet to start.
        why: what the waiting ones wait for, in the cluster's words.
    """

    running: int
    waiting: int
    why: str = ""

    @property
    def total(self) -> int:
        """All of them."""
        return self.running + self.waiting

    def __str__(self) -> str:
        said = [f"{self.running} running"] if self.running else []
        if self.waiting:
            said.append(f"{self.waiting} waiting" + (f" ({self.why})" if self.why else ""))
        return ", ".join(said) or "none"


class ClusterError(Exception):
    """A cluster did not do what it was asked; the text says what and why, in one line."""


class Cluster(Protocol):
    """Duties. **Start** raises and leaves nothing behind, or all pilots asked for are queued.

    **Count** asks the cluster alone. **Close** is called in the end, well or not.
    """

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    def slots(self) -> int:
        """Pilots that it can run at once, where nobody says how many. Raises ClusterError."""
        ...

    def start(self, pilots: int) -> str:
        """Start so many more; what was started, in words. Raises ClusterError."""
        ...

    def count(self) -> Census:
        """The pilots of this study that are there. Raises ClusterError if it does not answer."""
        ...

    def how_to_stop(self) -> str:
        """What becomes of pilots when the process that watches them ends, and how to end them."""
        ...

    def close(self) -> None:
        """Let go of the cluster."""
        ...
