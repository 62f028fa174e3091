"""Many pilots on one store in simulated time: the real loop, store and leases, a made-up clock.

Each pilot is a thread, and one of them works at a time: whoever waits hands over to the one whose
time comes next, so a run is the same every time. Every file operation takes a while, as on a slow
shared disk, and pilots interleave at every point where a lease is written, linked or released.
"""

from __future__ import annotations

import builtins
import io
import json
import os
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from heapq import heappop, heappush
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from alspec.plan.dag import Plan
from alspec.plan.kinds import TRAIN
from alspec.plan.kinds.train import WEIGHTS
from alspec.plan.step import StepKey
from alspec.run import loop
from alspec.run.executors.base import Ended, Event, Outcome
from alspec.run.observer import Silence
from alspec.store import leases
from alspec.store.leases import HEARTBEAT_SECONDS, Holder, Leases
from alspec.store.store import Store
from alspec.system import failpoints, processes

EPOCH = 1_700_000_000.0
"""What the disk's clock says when a simulation begins."""

OPERATIONS = ("stat", "lstat", "scandir", "listdir", "link", "unlink", "rename", "replace", "utime")
"""Functions of `os` that ask the disk; opening a file is another."""

PURE = ("ranks", "readers", "retained_weights")
"""What each pilot of a study computes of the plan when it begins: here once for all of them."""


class Killed(BaseException):
    """A pilot is gone at once, and cleans nothing up."""


class Pilot:
    """One `alspec run` on a machine of its own, with one slot.

    Attributes:
        operations: of files, so far.
        looks: time and operations of each look, after the first, that found nothing to do.
        began: the steps it was at, and when it began them.
    """

    def __init__(self, simulation: Simulation, number: int, dies_at: float | None) -> None:
        self.simulation, self.number, self.dies_at = simulation, number, dies_at
        self.alive, self.lag = True, 0.0
        self.operations = self.asked_at = 0
        self.looks: list[tuple[float, int]] = []
        self.turn = threading.Semaphore(0)
        self.leases: Leases | None = None
        self.summary: loop.RunSummary | None = None
        self.at_work: tuple[float, StepKey] | None = None
        self.began: list[tuple[StepKey, float]] = []
        self.idle = False
        threading.Thread(target=self._live, daemon=True).start()

    def holder(self, since: float) -> Holder:
        return Holder(
            f"node{self.number}", f"{self.number:08d}", f"boot{self.number}", 1, "1", since=since
        )

    def _live(self) -> None:
        self.turn.acquire()
        simulation = self.simulation
        try:
            self.summary = loop.run(
                simulation.plan, Store(simulation.root), self, Silence(), patience=900.0
            )
        except Killed:
            pass
        except BaseException as err:  # noqa: BLE001 - told to the test
            simulation.errors.append(err)
        self.alive = False
        simulation.hand_over()

    # ---- an executor with one slot

    @property
    def free_slots(self) -> int:
        return 0 if self.at_work else 1

    def warm_up(self) -> None:
        pass

    def close(self) -> None:
        pass

    def has_room(self, devices: int) -> bool:
        return self.free_slots >= devices

    def submit(self, key: StepKey, devices: int = 1) -> None:
        now = self.simulation.monotonic()
        self.began.append((key, now))
        self.at_work = (now + self.simulation.seconds[key], key)

    def wait(self, timeout_seconds: float) -> Event | None:
        if self.at_work is None:
            if self.idle:  # the first look learns what others did while this pilot was busy
                self.looks.append((self.simulation.monotonic(), self.operations - self.asked_at))
            self.idle = True
            self.simulation.sleep(timeout_seconds)
            self.asked_at = self.operations
            return None
        ends, key = self.at_work
        self.simulation.sleep(max(0.0, ends - self.simulation.monotonic()))
        self.at_work, self.idle = None, False
        store = Store(self.simulation.root)
        with store.draft(key, self.simulation.plan.steps[key].to_json()) as folder:
            (folder / "artifact.txt").write_text(key)
            if self.simulation.plan.steps[key].kind is TRAIN:
                (folder / WEIGHTS).write_text("numbers")
        self.simulation.finished[key] += 1
        self.simulation.on_finished()
        return Ended(key, Outcome.DONE)


class Simulation:
    """Pilots, what they share, and whose turn it is.

    Args:
        root: of the store.
        plan: the study.
        seconds: that each step takes.
        operation_seconds: that each operation of a file takes.
        on_finished: called after each step.
    """

    def __init__(
        self,
        root: Path,
        plan: Plan,
        seconds: Mapping[StepKey, float],
        operation_seconds: float,
        on_finished: Callable[[], None],
    ) -> None:
        self.root, self.plan, self.seconds = root, plan, seconds
        self.operation_seconds, self.on_finished = operation_seconds, on_finished
        self.now = 0.0
        self.pilots: list[Pilot] = []
        self.finished: Counter[StepKey] = Counter()
        self.errors: list[BaseException] = []
        self._turns: list[tuple[float, int, Pilot | Callable[[], None]]] = []
        self._order = count()
        self._current: Pilot | None = None
        self._over = threading.Semaphore(0)

    def add(self, at: float, dies_at: float | None = None) -> None:
        """A pilot that begins at a time, and is killed at another."""
        pilot = Pilot(self, len(self.pilots), dies_at)
        self.pilots.append(pilot)
        self._push(at, pilot)

    def run(self) -> None:
        """Until every pilot has ended."""
        with self._in_place():
            self.hand_over()
            self._over.acquire()
        if self.errors:
            raise self.errors[0]

    def monotonic(self) -> float:
        """The time, as the pilot whose turn it is has it."""
        return self.now + (self._current.lag if self._current else 0.0)

    def sleep(self, seconds: float) -> None:
        """Let others go on until a time; the pilot may be killed before."""
        me = self._current
        assert me
        until = self.monotonic() + seconds
        dies = me.dies_at is not None and me.dies_at <= until
        me.lag = 0.0
        self._push(max(self.now, me.dies_at) if dies and me.dies_at else until, me)
        self.hand_over()
        me.turn.acquire()
        if dies:
            me.alive = False
            raise Killed

    def hand_over(self) -> None:
        """Wake whoever is next."""
        self._current = None
        while self._turns:
            at, _, what = heappop(self._turns)
            self.now = max(self.now, at)
            if isinstance(what, Pilot):
                self._current = what
                what.turn.release()
                return
            what()
        self._over.release()

    def _push(self, at: float, what: Pilot | Callable[[], None]) -> None:
        heappush(self._turns, (at, next(self._order), what))

    # ---- in place of the machine's clock, names and disk

    def _beat(self, pilot: Pilot) -> None:
        if pilot.alive and pilot.leases:
            pilot.leases.touch()
            self._push(self.now + HEARTBEAT_SECONDS, lambda: self._beat(pilot))

    def _begin(self, held: Leases) -> None:
        """In place of a thread with a heartbeat."""
        assert self._current
        held.folder.mkdir(parents=True, exist_ok=True)
        held._beating = threading.current_thread()
        self._current.leases = held
        self._beat(self._current)

    def _close(self, held: Leases) -> None:
        """Nothing is released by a process that was killed."""
        if self._current and self._current.alive:
            for key in list(held._mine):
                held.release(key)

    def _written(self, path: Path) -> float:
        assert self._current
        now = EPOCH + self.monotonic()
        path.write_text(json.dumps(asdict(self._current.holder(now))))
        os.utime(path, (now, now))
        return now

    def _touch(self, held: Leases) -> None:
        now = EPOCH + self.now
        for path in list(held._mine.values()):
            with suppress(OSError):
                os.utime(path, (now, now))

    def _passed(self, point: str, path: object = "") -> None:
        if point.startswith("lease."):
            self.sleep(0.0)

    def _counted(self, function: Callable[..., object]) -> Callable[..., object]:
        def counted(*arguments: object, **named: object) -> object:
            if self._current:
                self._current.operations += 1
                self._current.lag += self.operation_seconds
            return function(*arguments, **named)

        return counted

    def _named(self, part: str) -> Callable[[], str]:
        def named() -> str:
            return str(getattr(self._current.holder(0.0), part)) if self._current else "nobody"

        return named

    @contextmanager
    def _in_place(self) -> Iterator[None]:
        time = SimpleNamespace(monotonic=self.monotonic, time=lambda: EPOCH + self.monotonic())
        with ExitStack() as stack:
            for where, name, what in [
                (os, "fsync", lambda _: None),
                (loop, "time", time),
                *((loop, name, _once(getattr(loop, name), self.plan)) for name in PURE),
                (leases, "time", time),
                (leases, "here", self._named("here")),
                (leases, "boot", self._named("boot")),
                (leases, "start_of", lambda _: "1"),
                (leases, "is_alive", lambda _: True),
                (leases, "is_on_network", lambda _: True),
                (leases, "_write_synced", self._written),
                (leases, "_clock_of", lambda _: EPOCH + self.monotonic()),
                (Leases, "_begin", lambda held: self._begin(held)),
                (Leases, "touch", lambda held: self._touch(held)),
                (Leases, "close", lambda held: self._close(held)),
                (socket, "gethostname", self._named("host")),
                (failpoints, "at", self._passed),
                (io, "open", self._counted(builtins.open)),
                *((os, name, self._counted(getattr(os, name))) for name in OPERATIONS),
            ]:
                stack.enter_context(mock.patch.object(where, name, what))
            processes.here()  # the machine's own, remembered
            yield


def _once(function: Callable[[Plan], object], plan: Plan) -> Callable[[Plan], object]:
    """The same for every pilot of a plan."""
    answer = function(plan)
    return lambda _: answer
