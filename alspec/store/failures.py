"""Steps that failed, one file a step: other runs at work on the store need not try them again."""

from __future__ import annotations

import json
import socket
import uuid
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from alspec.store.leases import Holder
from alspec.system.atomic import write_json
from alspec.system.processes import cluster_job

MACHINES = 2
"""On so many machines a step is tried: what broke it on the first may be that machine's fault."""

DEATHS = 3
"""Processes in a row that were killed at a step, from which on it counts as what kills them."""


@dataclass(frozen=True, slots=True)
class Failure:
    """How a step failed last.

    Attributes:
        submission: whose run it was, as `processes.submission` says.
        hosts: machines on which it failed in runs of this submission.
        job: of a cluster, where it failed last; empty outside of any.
        message: why it failed; empty where processes were killed at it and nothing else.
        log: a file that says more; empty for none.
        mark: differs between any two failures.
        deaths: of processes, in a row, since it failed or the step began; they say nothing
            themselves.
        killed: the last of those processes.
    """

    submission: str
    hosts: tuple[str, ...]
    job: str
    message: str
    log: str
    mark: str
    deaths: int = 0
    killed: str = ""

    def __str__(self) -> str:
        parts = []
        if self.hosts:
            job = f" ({self.job})" if self.job else ""
            parts.append(f"on {' and '.join(self.hosts)}{job}: {self.message}")
        if self.deaths:
            many = "a process was" if self.deaths == 1 else f"{self.deaths} processes in a row were"
            parts.append(
                f"{many} killed at it, the last was {self.killed}. It may need more memory than a "
                "job has: give jobs more; a training takes less with a lower training.batch_size"
            )
        return "; then ".join(parts)


@dataclass
class Failures:
    """The failures below one folder, as one run sees them.

    What other submissions left there before this run began is passed over: a run tries again.

    Attributes:
        folder: of all failures of a store.
        submission: of this run.
        written: the marks of the failures that this run wrote.
    """

    folder: Path
    submission: str
    written: set[str] = field(default_factory=set)
    _before: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        found = (self._read(path) for path in self.folder.glob("*.json"))
        self._before = {one.mark for one in found if one and one.submission != self.submission}

    def final(self, key: str) -> Failure | None:
        """The failure for which a step is not tried on this machine; None if it may be."""
        failure = self._since(key)
        if failure is None:
            return None
        here = socket.gethostname() in failure.hosts
        enough = len(failure.hosts) >= MACHINES or failure.deaths >= DEATHS
        return failure if here or enough else None

    def record(self, key: str, message: str, log: str) -> None:
        """Write that a step failed here; before its lease is released."""
        before = self._since(key)
        hosts = dict.fromkeys([*(before.hosts if before else ()), socket.gethostname()])
        self._write(key, Failure(self.submission, tuple(hosts), cluster_job(), message, log, ""))

    def record_death(self, key: str, holder: Holder) -> None:
        """Write that a process was killed at a step, as where a whole job is out of memory.

        Args:
            key: the step's, whose lease is this process's now.
            holder: who had it before.
        """
        before = self._since(key) or Failure(self.submission, (), holder.job, "", "", "")
        deaths = before.deaths + 1
        own = replace(before, submission=self.submission, deaths=deaths, killed=holder.name)
        self._write(key, own)

    def _write(self, key: str, failure: Failure) -> None:
        mark = uuid.uuid4().hex
        self.written.add(mark)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self._path(key), asdict(replace(failure, mark=mark)))

    def forget(self, key: str) -> None:
        """Remove what a step that is done by now left here when it failed."""
        self._path(key).unlink(missing_ok=True)

    def _since(self, key: str) -> Failure | None:
        failure = self._read(self._path(key))
        return None if failure is None or failure.mark in self._before else failure

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.json"

    @staticmethod
    def _read(path: Path) -> Failure | None:
        """What a file says; None where it is gone or says nothing, and the step is tried."""
        try:
            fields = json.loads(path.read_text("utf-8"))
            return Failure(**{**fields, "hosts": tuple(fields["hosts"])})
        except (OSError, ValueError, TypeError, KeyError):
            return None
