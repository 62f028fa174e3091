"""The local executor: one warm worker process a device slot; several for a step that takes more."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue

from alspec.plan.step import StepKey
from alspec.run.devices import readers_beside
from alspec.run.executors.base import Ended, Event, Outcome, Progressed, Workplace
from alspec.run.executors.group import Assignment, Group
from alspec.run.executors.worker import STOP, STOP_SECONDS
from alspec.system import failpoints
from alspec.system.atomic import open_to_append
from alspec.system.interpreter import python_command, python_environment
from alspec.system.scratch import new_scratch

THREADS = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
ENVIRONMENT = {
    "MALLOC_MMAP_THRESHOLD_": "33554432",
    "MALLOC_TRIM_THRESHOLD_": "1073741824",
    "TORCH_CPP_LOG_LEVEL": "ERROR",
}
"""For glibc: memory of a finished iteration is reused for the next one, not returned and cleared
page by page; a tenth of the time of a small s4GAN training. For torch: a training on several
devices would warn that all parameters are in use. Users' own settings come first."""


FOLLOW_SECONDS = 5.0
"""For the other workers of a group to say what ended them, after one has failed."""


@dataclass
class _Worker:
    process: subprocess.Popen[str]
    log: Path
    key: StepKey | None = None
    group: Group | None = None


class LocalExecutor:
    """Runs steps in worker processes on this machine, started when first needed or `warm_up`."""

    def __init__(self, place: Workplace) -> None:
        self._place = place
        self._devices = list(place.devices)
        self._workers: list[_Worker | None] = [None] * len(self._devices)
        self._events: SimpleQueue[Event] = SimpleQueue()
        self._lock = threading.Lock()
        self._meetings: Path | None = None
        self._groups = 0
        self._closing = False

    @property
    def free_slots(self) -> int:
        """Slots with no step at work."""
        return len(self._free())

    def warm_up(self) -> None:
        """Start every worker, to load what steps need while the caller still prepares."""
        with self._lock:
            for slot, worker in enumerate(self._workers):
                if worker is None:
                    self._start(slot)

    def has_room(self, devices: int) -> bool:
        """Whether so many slots of different GPUs are free; on a processor any slots."""
        return bool(self._chosen(devices))

    def submit(self, key: StepKey, devices: int = 1) -> None:
        """Give a step to free workers, warm ones first."""
        with self._lock:
            slots = self._chosen(devices)
            workers = [self._workers[slot] or self._start(slot) for slot in slots]
            meeting, group = "", None
            if devices > 1:
                group = Group(key, slots, [self._devices[slot] for slot in slots])
                meeting = self._new_meeting()
            for worker in workers:
                worker.key, worker.group = key, group
        for rank, worker in enumerate(workers):
            _tell(worker, Assignment(key, rank, devices, meeting).to_line())

    def _chosen(self, devices: int) -> list[int]:
        """Free slots for a step, those with a warm worker first; empty where there is no room.

        Several are of one kind, and a GPU is among them once.
        """
        free = sorted(self._free(), key=lambda i: (self._workers[i] is None, i))
        for kind in ("cuda", "cpu") if devices > 1 else ("",):
            chosen: dict[str, int] = {}
            for slot in free:
                device = self._devices[slot]
                if device.startswith(kind):
                    chosen.setdefault(f"{device} {slot}" if device == "cpu" else device, slot)
            if len(chosen) >= devices:
                return list(chosen.values())[:devices]
        return []

    def _new_meeting(self) -> str:
        """The path of a file over which the workers of a group meet."""
        if self._meetings is None:
            self._meetings = new_scratch()
        self._groups += 1
        return str(self._meetings / str(self._groups))

    def _free(self) -> list[int]:
        return [i for i, worker in enumerate(self._workers) if worker is None or worker.key is None]

    def wait(self, timeout_seconds: float) -> Event | None:
        """The next event of any worker."""
        try:
            return self._events.get(timeout=timeout_seconds)
        except Empty:
            return None

    def close(self) -> None:
        """End every worker with its children, and wait for it; a training checkpoints before."""
        with self._lock:
            self._closing = True
            workers = [worker for worker in self._workers if worker is not None]
        try:
            _let_stop([worker for worker in workers if worker.key is not None])
        finally:
            self._kill(workers)
            if self._meetings is not None:
                shutil.rmtree(self._meetings, ignore_errors=True)
                self._meetings = None
            self._closing = False

    def _kill(self, workers: Sequence[_Worker]) -> None:
        _kill(workers)
        for worker in workers:
            worker.process.wait()
        self._workers = [None] * len(self._devices)

    def _start(self, slot: int) -> _Worker:
        self._place.logs.mkdir(parents=True, exist_ok=True)
        log = self._place.logs / f"worker-{slot}.txt"
        arguments = ["--store", str(self._place.store), "--device", self._devices[slot]]
        arguments += ["--loader-workers", str(self._place.loader_workers)]
        arguments += ["--readers", str(readers_beside(len(self._devices)))]
        failpoints.at("log.open", log)
        with open_to_append(log) as file:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                python_command("alspec.run.executors.worker", arguments),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                encoding="utf-8",
                errors="replace",
                env={**ENVIRONMENT, **python_environment(), **THREADS},
                start_new_session=True,  # Ctrl-C is the parent's to handle
            )
        worker = _Worker(process, log)
        self._workers[slot] = worker
        threading.Thread(target=self._read, args=(slot, worker), daemon=True).start()
        return worker

    def _read(self, slot: int, worker: _Worker) -> None:
        """Turn what a worker says into events, its silence at the end into a lost step."""
        for line in worker.process.stdout or ():
            key = worker.key
            try:
                message = json.loads(line)
            except ValueError:  # cut off by the worker's end
                continue
            if message["event"] == "progress" and key:
                self._events.put(Progressed(key, message["done"], message["total"]))
            elif message["event"] in ("done", "failed") and key:
                outcome = Outcome.DONE if message["event"] == "done" else Outcome.FAILED
                end = Ended(key, outcome, message.get("message", ""), str(worker.log))
                self._ended(slot, worker, end, follows=message.get("follows", False))
        code = worker.process.wait()
        with self._lock:  # a step handed over by now is lost; a later one gets a new worker
            key = worker.key
            if self._workers[slot] is worker:
                self._workers[slot] = None
        if key is not None:
            why = f"the worker process ended with {_exit_words(code)}"
            why = "; ".join([why, *_last_line(worker.log)])
            self._ended(slot, worker, Ended(key, Outcome.LOST, why, str(worker.log)))

    def _ended(self, slot: int, worker: _Worker, end: Ended, *, follows: bool = False) -> None:
        """Pass on how a step ended; where a group did it, when all have ended."""
        group = worker.group
        if group is None:
            worker.key = None
            self._events.put(end)
            return
        with self._lock:
            first_failure = not group.broken
            group.note(slot, end, follows=follows)
            if end.outcome is Outcome.DONE:
                worker.key = worker.group = None
            over = group.over.is_set()
        if over:
            self._dissolve(group)
        elif group.broken and first_failure:
            threading.Thread(target=self._end_others, args=(group,), daemon=True).start()

    def _end_others(self, group: Group) -> None:
        """End what is left of a group in which one failed: it may wait for that one for ever."""
        if group.over.wait(FOLLOW_SECONDS):
            return
        with self._lock:
            if self._closing:  # they write a checkpoint
                return
            group.ended_by_us = True
            left = self._members(group)
        _kill(left)

    def _dissolve(self, group: Group) -> None:
        """Say how a group's step ended. What failed in it starts anew: its connections may hang."""
        with self._lock:
            left = self._members(group)
            for slot, worker in enumerate(self._workers):
                if worker in left:
                    worker.key = worker.group = None
                    self._workers[slot] = None
        _kill(left)
        self._events.put(group.end())

    def _members(self, group: Group) -> list[_Worker]:
        return [each for each in self._workers if each is not None and each.group is group]


def _kill(workers: Sequence[_Worker]) -> None:
    for worker in workers:
        with suppress(ProcessLookupError):  # the group: also what a plugin has started
            os.killpg(worker.process.pid, signal.SIGKILL)


def _last_line(log: Path) -> list[str]:
    """Last line of a worker's log; empty where its log is gone."""
    try:
        return log.read_text("utf-8", errors="replace").strip().splitlines()[-1:]
    except OSError:
        return []


def _tell(worker: _Worker, line: str) -> None:
    stdin = worker.process.stdin
    # The reader thread reports a worker that is gone.
    with suppress(OSError, ValueError):
        if stdin:
            stdin.write(f"{line}\n")
            stdin.flush()


def _let_stop(workers: Sequence[_Worker]) -> None:
    """Ask workers to keep what they are at and to end; some seconds for all of them together."""
    until = time.monotonic() + STOP_SECONDS
    for worker in workers:
        _tell(worker, STOP)
    for worker in workers:
        with suppress(subprocess.TimeoutExpired):
            worker.process.wait(max(0.0, until - time.monotonic()))


def _exit_words(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name
    hint = " (out of memory?)" if name == "SIGKILL" else ""
    return f"signal {name}{hint}"
