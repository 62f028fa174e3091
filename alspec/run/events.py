"""Writes what happens in a run to the study's events.jsonl, and passes it on."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from alspec.plan.step import Step, StepKey
from alspec.run.executors.base import Outcome
from alspec.run.observer import Observer
from alspec.store.leases import Holder
from alspec.store.study_folder import StudyFolder
from alspec.system.processes import cluster_job


@dataclass(frozen=True)
class EventLog:
    """An observer that keeps a record of starts and ends."""

    folder: StudyFolder
    then: Observer
    _notes: list[str] = field(default_factory=list)

    def started(self, step: Step) -> None:
        """Record that a step was handed to a worker."""
        self._record("started", step)
        self.then.started(step)

    def progressed(self, step: Step, done: int, total: int) -> None:
        """Pass it on; too frequent for the record."""
        self.then.progressed(step, done, total)

    def ended(self, step: Step, outcome: Outcome, message: str, log: str) -> None:
        """Record how a step ended; what another run did, that one has recorded."""
        if outcome not in (Outcome.ELSEWHERE, Outcome.FAILED_ELSEWHERE):
            self._record(outcome.name.lower(), step, message, log)
        self.then.ended(step, outcome, message, log)

    def held(self, step: Step, holder: Holder) -> None:
        """Pass it on."""
        self.then.held(step, holder)

    def idle(self) -> None:
        """Pass it on."""
        self.then.idle()

    def note(self, text: str) -> None:
        """Pass it on; recorded when steps begin, since bad input leaves nothing."""
        self._notes.append(text)
        self.then.note(text)

    def reading(self, dataset: str, images: int) -> None:
        """Pass it on."""
        self.then.reading(dataset, images)

    def steps_begin(self, costs: Mapping[StepKey, float], *, waits: bool) -> None:
        """Record the notes so far and pass it on."""
        for text in self._notes:
            event = {"time": round(time.time(), 3), "event": "note", "message": text}
            self.folder.log_event(event)
        self._notes.clear()
        self.then.steps_begin(costs, waits=waits)

    def steps_end(self) -> None:
        """Pass it on."""
        self.then.steps_end()

    def _record(self, event: str, step: Step, message: str = "", log: str = "") -> None:
        entry = {"time": round(time.time(), 3), "event": event, "step": step.label, "key": step.key}
        more = {"message": message, "log": log if message else "", "job": cluster_job()}
        self.folder.log_event({**entry, **{name: value for name, value in more.items() if value}})
