"""The command in a process of its own that tells what happens in it through a pipe."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from unittest import mock

from fakes.trainer import importing_tests

if TYPE_CHECKING:
    from alspec.models.training.hooks import Progress
    from alspec.plan.step import Step
    from alspec.steps.work import WorkerContext
    from alspec.store.store import Store

Told: TypeAlias = dict[str, Any]
"""An event as JSON."""

SECONDS = 120
"""Longer than anything that a test waits for takes."""


class Listened:
    """A command at work.

    Attributes:
        process: the command's.
        told: the events of its study so far; `progressed` and `working` beside them.
    """

    def __init__(self, home: Path, *arguments: str) -> None:
        self._pipe, tell = os.pipe()
        command = [sys.executable, "-m", "fakes.listened_command", str(tell), *arguments]
        self.process = subprocess.Popen(
            command,
            cwd=home,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            pass_fds=[tell],
            env={**importing_tests(), "CUDA_VISIBLE_DEVICES": ""},
        )
        os.close(tell)
        self.told: list[Told] = []
        self._events = self._read()

    def wait_until(self, is_so: Callable[[list[Told]], object]) -> None:
        """Returns once the events told so far satisfy `is_so`."""
        while not is_so(self.told):
            self.told.append(next(self._events))

    def _read(self) -> Iterator[Told]:
        text, until = "", time.monotonic() + SECONDS
        while select.select([self._pipe], [], [], max(0, until - time.monotonic()))[0]:
            more = os.read(self._pipe, 1 << 16).decode()
            if not more:
                break
            *lines, text = (text + more).split("\n")
            yield from map(json.loads, lines)
        raise AssertionError(f"it did not come to that: {self.finish()}, {self.told[-3:]}")

    def finish(self, timeout: float = 300) -> tuple[int, str, str]:
        """Exit code, standard output and standard error, when the command has ended."""
        try:
            out, err = self.process.communicate(timeout=timeout)
        finally:
            os.close(self._pipe)
        return self.process.returncode, out, err


def main() -> None:
    """The command, with everything told that its log of events is told, and more."""
    from alspec.cli.main import main as cli
    from alspec.run.events import EventLog
    from alspec.run.executors import worker
    from alspec.store.study_folder import StudyFolder

    pipe = int(sys.argv.pop(1))
    os.set_inheritable(pipe, False)
    os.set_blocking(pipe, False)

    def tell(event: Mapping[str, object]) -> None:
        with suppress(BlockingIOError):  # nobody listens any more
            os.write(pipe, json.dumps(event).encode() + b"\n")

    log_event, progressed, work_on = StudyFolder.log_event, EventLog.progressed, worker.work_on

    def logged(folder: StudyFolder, event: Mapping[str, object]) -> None:
        log_event(folder, event)
        tell(event)

    def went_on(log: EventLog, step: Step, done: int, total: int) -> None:
        tell({"event": "progressed", "step": step.label})
        progressed(log, step, done, total)

    def working(
        step: Step, store: Store, worker_context: WorkerContext, progress: Progress
    ) -> None:
        def told(done: int, total: int) -> None:
            tell({"event": "working", "step": step.label})
            progress(done, total)

        work_on(step, store, worker_context, told)

    with (
        mock.patch.object(StudyFolder, "log_event", logged),
        mock.patch.object(EventLog, "progressed", went_on),
        mock.patch.object(worker, "work_on", working),
    ):
        cli()


if __name__ == "__main__":
    main()
