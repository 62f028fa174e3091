"""Writes what happens in a run to the study's events.jsonl, and passes it on."""

from __future__ import annotations

import time
from dataclasses import dataclass

from alspec.plan.step import Step
from alspec.run.executors.base import Outcome
from alspec.run.loop import Observer
from alspec.store.leases import Holder
from alspec.store.study_folder import StudyFolder


@dataclass(frozen=True)
class EventLog:
    """An observer that keeps a record of starts and ends."""

    folder: StudyFolder
    then: Observer

    def started(self, step: Step) -> None:
        """Record that a step was handed to a worker."""
        self._record("started", step)
        self.then.started(step)

    def progressed(self, step: Step, done: int, total: int) -> None:
        """Pass it on; too frequent for the record."""
        self.then.progressed(step, done, total)

    def ended(self, step: Step, outcome: Outcome, message: str, log: str) -> None:
        """Record how a step ended."""
        self._record(outcome.name.lower(), step, message)
        self.then.ended(step, outcome, message, log)

    def held(self, step: Step, holder: Holder) -> None:
        """Pass it on."""
        self.then.held(step, holder)

    def idle(self) -> None:
        """Pass it on."""
        self.then.idle()

    def _record(self, event: str, step: Step, message: str = "") -> None:
        entry = {"time": round(time.time(), 3), "event": event, "step": step.label, "key": step.key}
        self.folder.log_event({**entry, "message": message} if message else entry)
