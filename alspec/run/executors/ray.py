"""Pilots as tasks of Ray, one a GPU or some CPUs; Ray is imported when it is asked for."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alspec.errors import ExitCode, InputError
from alspec.run.executors.pilots import Census, ClusterError, PilotCommand, workers_on_cpus
from alspec.spec import execution
from alspec.system.atomic import open_to_append
from alspec.system.processes import JOB, SUBMISSION

RETRIES = 10
"""Times that Ray starts a task again whose worker or node was lost."""

EXTRA = "Ray is not installed here. Install it: pip install 'alspec[ray]'"

_DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG of Linux's prctl: the signal that a child gets when its parent is gone."""


class PilotStopped(Exception):
    """A pilot was asked to stop and wrote a checkpoint; Ray starts it again."""


@dataclass(frozen=True)
class Task:
    """What a Ray worker is told of the pilot that it is to run.

    Attributes:
        command: of the pilot; the interpreter is the worker's own.
        folder: where it is started.
        log: what it prints is appended there.
        variables: that the pilot needs and the worker may not have.
    """

    command: PilotCommand
    folder: Path
    log: Path
    variables: Mapping[str, str]


def run_pilot(task: Task) -> int:
    """Run a pilot as a child of this process, which is a Ray worker, and end with it.

    Returns:
        Its exit code.

    Raises:
        PilotStopped: it was asked to stop.
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def end_with_worker() -> None:
        if libc is not None:
            libc.prctl(_DEATH_SIGNAL, signal.SIGTERM)

    task.log.parent.mkdir(parents=True, exist_ok=True)
    with open_to_append(task.log) as output:
        pilot = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            task.command.arguments(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=task.folder,
            env={
                **task.variables,
                **os.environ,
                JOB: task.log.stem,
                SUBMISSION: task.command.submission,
            },
            preexec_fn=end_with_worker,
        )
        code = pilot.wait()
    if code in (ExitCode.INTERRUPTED, -signal.SIGTERM):
        raise PilotStopped(task.log.stem)
    return code


@dataclass
class RayCluster:
    """Starts and counts the tasks of one run; they end with it.

    Attributes:
        command: of a pilot.
        gpus: of a task.
        logs: folder of what pilots print.
        asked: what the spec asks of Ray.
        variables: of the environment that pilots need.
    """

    command: PilotCommand
    gpus: int
    logs: Path
    asked: execution.Ray
    variables: Mapping[str, str]
    _tasks: list[Any] = field(default_factory=list)
    _run: str = field(default_factory=lambda: uuid.uuid4().hex[:6])

    def __post_init__(self) -> None:
        """Connect. Raises InputError where Ray is not installed or its cluster not reached."""
        try:
            import ray
        except ImportError:
            raise InputError.at("--executor ray", EXTRA) from None
        self._ray, self._connected = ray, not ray.is_initialized()
        if not self._connected:  # somebody who calls from Python has his own
            return
        where = {"address": self.asked.address} if self.asked.address else {}
        local = {} if where or "RAY_ADDRESS" in os.environ else {"include_dashboard": False}
        try:
            ray.init(log_to_driver=False, logging_level="ERROR", **where, **local)
        except Exception as err:  # Ray raises bare ones, as of a node that started too slowly
            first = str(err).strip().partition("\n")[0]
            what = f"Ray's cluster is not reached ({first}). Nothing was started; try again"
            raise InputError.at(self.asked.address or "--executor ray", what) from err

    @property
    def name(self) -> str:
        """Ray."""
        return "Ray"

    @property
    def cpus(self) -> int:
        """CPUs of a task: as asked, else one for each worker of a pilot on CPUs."""
        return self.asked.cpus or workers_on_cpus(self.command.devices) or 1

    def slots(self) -> int:
        """Tasks that the nodes have room for at once. Raises ClusterError where none fits."""
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        there = [(int(node.get("CPU", 0)), int(node.get("GPU", 0))) for node in nodes]
        room = sum(
            min(cpus // self.cpus, gpus // self.gpus if self.gpus else cpus) for cpus, gpus in there
        )
        if room < 1:
            has = ", ".join(f"{cpus} CPUs and {gpus} GPUs" for cpus, gpus in sorted(set(there)))
            what = f"{self.gpus} GPUs and {self.cpus} CPUs (--devices, execution.ray.cpus)"
            raise ClusterError(
                f"a task asks for {what} of one node; the nodes have {has or 'none'}"
            )
        return room

    def start(self, pilots: int) -> str:
        """Start tasks; Ray starts one again whose worker or node is lost."""
        self.slots()
        asked = {"num_cpus": self.cpus, "num_gpus": self.gpus, "max_retries": RETRIES}
        remote = self._ray.remote(**asked, retry_exceptions=[PilotStopped])(run_pilot)
        for number in range(len(self._tasks), len(self._tasks) + pilots):
            log = self.logs / f"ray-{self._run}_{number}.txt"
            task = Task(self.command, Path.cwd(), log, self.variables)
            self._tasks.append(remote.remote(task))
        return f"{pilots} tasks started on Ray"

    def count(self) -> Census:
        """The tasks that have not ended."""
        if not self._tasks:
            return Census(0, 0)
        try:
            left = self._ray.wait(self._tasks, num_returns=len(self._tasks), timeout=0)[1]
        except self._ray.exceptions.RayError as err:
            raise ClusterError(str(err).partition("\n")[0]) from err
        return Census(len(left), 0)

    def how_to_stop(self) -> str:
        """Tasks are the driver's."""
        return "its Ray tasks end with this process, after a checkpoint"

    def close(self) -> None:
        """End the tasks that are left, and leave the cluster if it was entered here."""
        with suppress(self._ray.exceptions.RayError):
            for task in self._tasks:
                self._ray.cancel(task, force=True)
        if self._connected:
            self._ray.shutdown()
