"""Who works on which step of a study, and what failed last: from leases and events alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

from alspec.plan.dag import Plan
from alspec.plan.step import StepKey
from alspec.store.leases import Leases, living_holders
from alspec.store.study_folder import StudyFolder


class AtWorkData(TypedDict):
    """A step at work, as `status --json` prints it."""

    step: str
    host: str
    process: int
    job: str
    seconds: float | None
    devices: int


class FailureData(TypedDict):
    """A failed step, as `status --json` prints it."""

    step: str
    message: str
    log: str


@dataclass(frozen=True, slots=True)
class AtWork:
    """A step that a living process is at.

    Attributes:
        step: its label.
        host: the machine.
        process: its number there.
        job: of a cluster, as `slurm-123_4`; empty outside of any.
        seconds: since it began; None where the lease does not say.
        devices: that it takes together.
    """

    step: str
    host: str
    process: int
    job: str
    seconds: float | None
    devices: int = 1

    def as_data(self) -> AtWorkData:
        """The same as plain data."""
        who: AtWorkData = {
            "step": self.step, "host": self.host, "process": self.process, "job": self.job,
            "seconds": None if self.seconds is None else round(self.seconds, 1),
            "devices": self.devices,
        }  # fmt: skip
        return who


@dataclass(frozen=True, slots=True)
class Failure:
    """A step that failed, and was neither done nor begun since.

    Attributes:
        step: its label.
        message: why.
        log: where the rest is; empty where no log was.
    """

    step: str
    message: str
    log: str

    def as_data(self) -> FailureData:
        """The same as plain data."""
        return {"step": self.step, "message": self.message, "log": self.log}


def steps_at_work(plan: Plan, folder: StudyFolder) -> list[AtWork]:
    """The steps of a study that living processes hold, on whatever machines, the longest first."""
    leases = folder.store.folders.leases
    holders = living_holders(leases, plan.steps)
    now = Leases(leases).now() if holders else 0.0
    found = [
        AtWork(
            plan.steps[StepKey(key)].label,
            holder.host,
            holder.process,
            holder.job,
            max(0.0, now - holder.since) if holder.since else None,
            plan.steps[StepKey(key)].devices,
        )
        for key, holder in holders.items()
    ]
    return sorted(found, key=lambda one: (-(one.seconds or 0.0), one.step))


def failures(plan: Plan, folder: StudyFolder) -> list[Failure]:
    """The steps of a study whose last event is a failure, and which are not done."""
    last: dict[StepKey, Failure] = {}
    for event in folder.events_from(0)[0]:
        key, kind = StepKey(str(event.get("key", ""))), event["event"]
        if key not in plan.steps:
            continue
        if kind in ("failed", "lost"):
            message, log = str(event.get("message", "")), str(event.get("log", ""))
            last[key] = Failure(plan.steps[key].label, message, log)
        elif kind in ("started", "done"):
            last.pop(key, None)
    done = folder.store.done(last)
    return [failure for key, failure in last.items() if key not in done]
