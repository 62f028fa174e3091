"""Watches a study that pilots work on: the store says what is done, the cluster how many are there.

It starts pilots until there are as many as wanted, and again when all are gone and steps are left.
Nothing is lost with it: the same command counts the pilots that are there and watches on.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from alspec.errors import Interrupted
from alspec.plan.dag import Plan
from alspec.plan.step import Step, StepKey
from alspec.run.executors.base import Outcome
from alspec.run.executors.pilots import Census, Cluster, ClusterError
from alspec.run.loop import RunSummary
from alspec.run.observer import Observer
from alspec.store.leases import living_holders
from alspec.store.study_folder import StudyFolder

LOOK_SECONDS = 2.0
"""Between two looks at the store."""

COUNT_SECONDS = 30.0
"""Between two questions to the cluster."""

LATE_SECONDS = 60.0
"""For which files of a pilot that has ended may not be seen here: attributes that NFS caches."""

FRUITLESS = 3
"""Times that pilots are started anew although the last ones finished no step."""


@dataclass
class Watch:
    """A study at work on a cluster.

    Attributes:
        plan: the study, expanded.
        folder: the study's.
        cluster: where pilots run.
        observer: hears what happens.
        todo: the steps to be done.
        pilots: wanted at most.
        sleep, clock: of time, for tests.
    """

    plan: Plan
    folder: StudyFolder
    cluster: Cluster
    observer: Observer
    todo: Mapping[StepKey, Step]
    pilots: int
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    summary: RunSummary = field(default_factory=RunSummary)

    def __post_init__(self) -> None:
        done = self.folder.store.done(self.todo)
        self.left = {key: step for key, step in self.todo.items() if key not in done}
        before = self.folder.store.done(self.plan.steps) - self.todo.keys()
        self.summary.finished_before = len(before)
        self.consumers = self.plan.consumers()
        self.read_to = self.folder.events_end()
        self.fruitless = 0
        self.answered = True
        self.said = ""

    def begin(self) -> None:
        """Have as many pilots as wanted, or as there are steps. Raises ClusterError."""
        try:
            there = self.cluster.count().total
        except ClusterError as err:
            raise ClusterError(f"{err}. Nothing was started") from err
        more = min(self.pilots, len(self.left)) - there
        if there:
            self.observer.note(f"{there} pilots of this study are there: {self.cluster.name}")
        if more > 0:
            self.observer.note(self.cluster.start(more))

    def until_done(self) -> RunSummary:
        """Watch until everything is done that can be; what became of it."""
        try:
            self._watch()
        except (KeyboardInterrupt, Interrupted):
            self.observer.note(f"{self.folder.study}: {self.cluster.how_to_stop()}")
            raise
        blocked = self._descendants(self.summary.failed)
        self.summary.skipped += [key for key in self.left if key in blocked]
        return self.summary

    def left_alone(self) -> RunSummary:
        """Do not watch; say how to."""
        self.summary.stopped = (
            f"{len(self.left)} steps are left to the pilots; watch them with "
            "`alspec status --watch`, or with the same command without --no-wait"
        )
        return self.summary

    def _watch(self) -> None:
        count_at, gone_at = self.clock(), math.inf
        while True:
            self._look()
            if not self.left or self.summary.stopped:
                return
            if self.clock() >= count_at:
                there = self._count()
                if there is None or there.total or self._held():
                    gone_at = math.inf
                elif gone_at == math.inf:  # from now on what they wrote may yet be seen
                    gone_at = self.clock() + LATE_SECONDS
                elif self.clock() >= gone_at:
                    self._start_again()
                    gone_at = math.inf
                wait = LOOK_SECONDS if there and not there.total else COUNT_SECONDS
                count_at = self.clock() + wait
            self.observer.idle()
            self.sleep(LOOK_SECONDS)

    def _look(self) -> None:
        """Learn from the store what is done, from the study's events what began and what failed."""
        events, self.read_to = self.folder.events_from(self.read_to)
        done = self.folder.store.done(self.left)
        for event in events:
            step = self.left.get(StepKey(str(event.get("key"))))
            if step is None or step.key in done:
                continue
            kind = str(event["event"])
            if kind == "started":
                self.summary.failed.pop(step.key, None)
                self.observer.started(step)
            elif kind in ("failed", "lost"):
                outcome = Outcome[kind.upper()]
                message = str(event.get("message", ""))
                self.summary.failed[step.key] = message
                self.observer.ended(step, outcome, message, str(event.get("log", "")))
        for key in [key for key in self.left if key in done]:
            self.observer.ended(self.left.pop(key), Outcome.DONE, "", "")
            self.summary.executed.append(key)
            self.summary.failed.pop(key, None)
            self.fruitless = 0

    def _count(self) -> Census | None:
        """The pilots that are there; None, after a note, where the cluster does not answer."""
        try:
            there = self.cluster.count()
        except ClusterError as err:
            if self.answered:
                self.observer.note(f"{err}; the store is watched, pilots are not counted")
            self.answered = False
            return None
        if not self.answered or str(there) != self.said:
            self.observer.note(f"{self.cluster.name}: {there}")
        self.answered, self.said = True, str(there)
        return there

    def _held(self) -> bool:
        """Whether a living process, of whatever run, is at work on a step that is left."""
        return bool(living_holders(self.folder.store.folders.leases, self.left))

    def _start_again(self) -> None:
        """All pilots are gone and steps are left: start some, or say why not."""
        blocked = self._descendants(self.summary.failed)
        able = [key for key in self.left if key not in blocked and key not in self.summary.failed]
        if not able:
            self.summary.stopped = f"{len(self.summary.failed)} steps failed"
            return
        if self.fruitless == FRUITLESS:
            self.summary.stopped = (
                f"{self.cluster.name} ran pilots {FRUITLESS + 1} times that finished no step; "
                f"{len(self.left)} steps are left. What they said is in {self.folder.logs}"
            )
            return
        self.fruitless += 1
        try:
            started = self.cluster.start(min(self.pilots, len(able)))
        except ClusterError as err:
            self.summary.stopped = f"{len(self.left)} steps are left and no pilot: {err}"
            return
        self.observer.note(f"all pilots have ended and {len(self.left)} steps are left: {started}")

    def _descendants(self, keys: Mapping[StepKey, str]) -> set[StepKey]:
        """All steps that are made from some, without these."""
        found: set[StepKey] = set()
        left = [reader for key in keys for reader in self.consumers[key]]
        while left:
            key = left.pop()
            if key not in found:
                found.add(key)
                left += self.consumers[key]
        return found
