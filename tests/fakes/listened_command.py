"""The command in a process of its own that tells what happens in it through a pipe."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

from fakes.trainer import importing_tests

SECONDS = 120
"""Longer than anything that a test waits for takes."""


class Listened:
    """A command at work.

    Attributes:
        process: the command's.
        told: the events of its study so far; `progressed` and `working` beside them.
    """

    def __init__(self, home, *arguments):
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
        self.told = []
        self._events = self._read()

    def wait_until(self, is_so):
        """Returns once the events told so far satisfy `is_so`."""
        while not is_so(self.told):
            self.told.append(next(self._events))

    def _read(self) -> Iterator[dict]:
        text, until = "", time.monotonic() + SECONDS
        while select.select([self._pipe], [], [], max(0, until - time.monotonic()))[0]:
            more = os.read(self._pipe, 1 << 16).decode()
            if not more:
                break
            *lines, text = (text + more).split("\n")
            yield from map(json.loads, lines)
        raise AssertionError(f"it did not come to that: {self.finish()}, {self.told[-3:]}")

    def finish(self, timeout=300):
        """Exit code, standard output and standard error, when the command has ended."""
        try:
            out, err = self.process.communicate(timeout=timeout)
        finally:
            os.close(self._pipe)
        return self.process.returncode, out, err


def main():
    """The command, with everything told that its log of events is told, and more."""
    from alspec.cli.main import main as cli
    from alspec.run.events import EventLog
    from alspec.run.executors import worker
    from alspec.store.study_folder import StudyFolder

    pipe = int(sys.argv.pop(1))
    os.set_inheritable(pipe, False)
    os.set_blocking(pipe, False)

    def tell(event):
        with suppress(BlockingIOError):  # nobody listens any more
            os.write(pipe, json.dumps(event).encode() + b"\n")

    log_event, progressed, work_on = StudyFolder.log_event, EventLog.progressed, worker.work_on

    def logged(folder, event):
        log_event(folder, event)
        tell(event)

    def went_on(log, step, done, total):
        tell({"event": "progressed", "step": step.label})
        progressed(log, step, done, total)

    def working(step, store, worker_context, progress):
        def told(done, total):
            tell({"event": "working", "step": step.label})
            progress(done, total)

        work_on(step, store, worker_context, told)

    StudyFolder.log_event, EventLog.progressed, worker.work_on = logged, went_on, working
    cli()


if __name__ == "__main__":
    main()
