"""Runs what a plan needs and the store does not have: ready steps to free slots."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from alspec.errors import StoreError
from alspec.plan.cost.priority import ranks
from alspec.plan.cost.retention import readers, retained_weights
from alspec.plan.dag import Plan
from alspec.plan.kinds import TRAIN
from alspec.plan.kinds.train import WEIGHTS
from alspec.plan.step import Step, StepKey
from alspec.run.deaths import counted_deaths
from alspec.run.executors.base import Ended, Executor, Outcome, Progressed
from alspec.run.observer import Observer
from alspec.store.drafts import sweep_unleased
from alspec.store.failures import Failures
from alspec.store.leases import Holder, Leases, Listed
from alspec.store.store import Store
from alspec.system import failpoints
from alspec.system.processes import submission

SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 5.0
"""Seconds between two looks for work that others may have left."""


@dataclass
class RunSummary:
    """What a run did.

    Attributes:
        executed: steps finished now.
        finished_before: steps of the plan that the store had already.
        failed: failed steps and why; also those that failed in other runs meanwhile.
        skipped: steps given up because a step before them failed.
        elsewhere: steps that another process finished meanwhile.
        held: ready steps that were left to the living processes that hold them.
        stopped: why no more steps are run, where the others do not tell.
    """

    executed: list[StepKey] = field(default_factory=list)
    finished_before: int = 0
    failed: dict[StepKey, str] = field(default_factory=dict)
    skipped: list[StepKey] = field(default_factory=list)
    elsewhere: list[StepKey] = field(default_factory=list)
    held: dict[StepKey, Holder] = field(default_factory=dict)
    stopped: str = ""


def is_finished(step: Step, store: Store) -> bool:
    """Whether a step that was asked for needs no more work; dropped weights do."""
    if step.kind is TRAIN:
        return store.holds(step.key, WEIGHTS)
    return store.is_done(step.key)


def needed(
    plan: Plan, store: Store, among: Collection[StepKey] | None = None
) -> dict[StepKey, Step]:
    """The steps to run, in plan order.

    Whatever is not committed, and trainings whose weights were dropped but have a reader to come.

    Args:
        plan: the study, expanded.
        store: where steps are committed.
        among: the steps that are wanted, with all that they are made from; None for all.
    """
    consumers = plan.consumers()
    done = store.done(plan.steps)
    if among is not None:
        done |= plan.steps.keys() - set(among)
    missing: set[StepKey] = set()
    for step in reversed(list(plan.in_order())):
        if step.key not in done or (
            step.kind is TRAIN
            and any(reader in missing for reader in consumers[step.key])
            and not store.holds(step.key, WEIGHTS)
        ):
            missing.add(step.key)
    return {step.key: step for step in plan.in_order() if step.key in missing}


def run(
    plan: Plan,
    store: Store,
    executor: Executor,
    observer: Observer,
    *,
    patience: float = math.inf,
    among: Collection[StepKey] | None = None,
) -> RunSummary:
    """Run every step that is needed; a failed step stops only those that depend on it.

    Args:
        plan: the study, expanded.
        store: where steps are committed.
        executor: where they run; left open.
        observer: hears of everything.
        patience: seconds to wait for steps that other living processes have the leases of, when
            there is nothing else to do; 0 does not wait.
        among: as of `needed`.

    Returns:
        What was done, and what was not.
    """
    store.retention.register(plan.study.study, retained_weights(plan), readers(plan))
    todo = needed(plan, store, among)
    summary = RunSummary(finished_before=len(store.done(plan.steps) - todo.keys()))
    _sweep_checkpoints(store)
    failures = Failures(store.folders.failures, submission())
    leases = Leases(store.folders.leases, died=counted_deaths(plan, store, failures))
    try:
        leases.clear()
        sweep_unleased(store.folders.drafts, leases.keys)
        _clear_recipes(plan, store, leases, todo)
        _Loop(plan, store, executor, observer, todo, summary, leases, failures, patience).run()
    finally:
        leases.close()
    return summary


def _clear_recipes(plan: Plan, store: Store, leases: Leases, todo: Mapping[StepKey, Step]) -> None:
    """Remove the recipes of finished steps whose run was killed before it did so."""
    waiting = {path.stem for path in store.folders.recipes.glob("*.json")}
    for key in plan.steps.keys() & waiting - todo.keys():
        if leases.take(key) is None:
            store.recipe_path(key).unlink(missing_ok=True)
            leases.release(key)


@dataclass
class _Loop:
    plan: Plan
    store: Store
    executor: Executor
    observer: Observer
    todo: dict[StepKey, Step]
    summary: RunSummary
    leases: Leases
    failures: Failures
    patience: float

    def __post_init__(self) -> None:
        self.consumers = self.plan.consumers()
        self.retained = retained_weights(self.plan)
        self.rank = ranks(self.plan)
        self.waiting = dict(self.todo)
        self.at_work: set[StepKey] = set()
        self.given_up: set[StepKey] = set()
        self.tried_again: set[StepKey] = set()
        self.reported: set[tuple[str, int]] = set()
        self.ready = {key for key in self.waiting if self._is_ready(key)}

    def run(self) -> None:
        busy_at = time.monotonic()
        while self.waiting or self.at_work:
            self._fill_slots()
            if not (self.waiting or self.at_work):
                return
            if self.at_work:
                busy_at = time.monotonic()
            elif time.monotonic() - busy_at >= self.patience:
                return
            event = self.executor.wait(_pause(time.monotonic() - busy_at, self.patience))
            if event is None:
                self.observer.idle()
            elif isinstance(event, Progressed):
                self.observer.progressed(self.todo[event.key], event.done, event.total)
            else:
                self._end(event)

    def _fill_slots(self) -> None:
        """Start ready steps until no slot is free, or others are at all that are left.

        What others have finished makes more steps ready, so that is looked through until nothing
        changes; the leases are listed once, so a look costs as much as there are ready steps.
        """
        self.summary.held.clear()
        left, listed = -1, None
        while self.executor.free_slots and left != len(self.waiting):
            left = len(self.waiting)
            for key in sorted(self.ready, key=self.rank.__getitem__):
                if not self.executor.has_room(self.todo[key].devices):
                    return  # no smaller step goes before it: it would wait for ever
                listed = self.leases.listed() if listed is None else listed
                if key not in self.summary.held and self._leased(key, listed):
                    self._start(key)

    def _leased(self, key: StepKey, listed: Listed) -> bool:
        """Whether a step is this run's to do: no other has done it, is at it or failed at it."""
        if self._done_elsewhere(key):
            return False
        holder = self.leases.take(key, listed)
        if holder is not None:
            self.summary.held[key] = holder
            if (holder.host, holder.process) not in self.reported:
                self.reported.add((holder.host, holder.process))
                self.observer.held(self.todo[key], holder)
            return False
        # Between the look and the lease another may have done it, or given it up.
        if self._done_elsewhere(key) or self._failed_elsewhere(key):
            self.leases.release(key)
            return False
        return True

    def _done_elsewhere(self, key: StepKey) -> bool:
        """Take a step off the list that needs no work any more."""
        step = self.todo[key]
        if not self._is_finished(step) and not (
            step.kind is TRAIN
            and self.store.is_done(key)
            and all(self.store.is_done(reader) for reader in self.consumers[key])
        ):
            return False
        self._no_longer_waits(key)
        self._is_over(key)
        self.summary.elsewhere.append(key)
        self.observer.ended(step, Outcome.ELSEWHERE, "", "")
        self._drop_unread(step)
        return True

    def _failed_elsewhere(self, key: StepKey) -> bool:
        """Take a step off the list that failed in another run since this one was asked for.

        A run that was killed at it recorded nothing; then the one that found that does.
        """
        failure = self.failures.final(key)
        if failure is None:
            return False
        self._no_longer_waits(key)
        step = self.todo[key]
        self.summary.failed[key] = str(failure)
        mine = failure.mark in self.failures.written
        outcome = Outcome.LOST if mine else Outcome.FAILED_ELSEWHERE
        self.observer.ended(step, outcome, str(failure), failure.log)
        self._skip_descendants(key)
        return True

    def _start(self, key: StepKey) -> None:
        self._no_longer_waits(key)
        step = self.todo[key]
        self.store.write_recipe(step.to_json())
        self.at_work.add(key)
        self.observer.started(step)
        failpoints.at("step.submit", key)
        self.executor.submit(key, step.devices)

    def _is_finished(self, step: Step) -> bool:
        try:
            return is_finished(step, self.store)
        except StoreError:  # corrupt, and quarantined by now
            return False

    def _is_ready(self, key: StepKey) -> bool:
        """Whether nothing is left to be done before a waiting step."""
        sources = self.todo[key].inputs.values()
        return not any(source in self.waiting or source in self.at_work for source in sources)

    def _is_over(self, key: StepKey) -> None:
        """Have the readers of a finished step wait for one step less."""
        readers = (reader for reader in self.consumers[key] if reader in self.waiting)
        self.ready.update(reader for reader in readers if self._is_ready(reader))

    def _no_longer_waits(self, key: StepKey) -> Step | None:
        self.ready.discard(key)
        return self.waiting.pop(key, None)

    def _end(self, event: Ended) -> None:
        self.at_work.discard(event.key)
        step = self.todo[event.key]
        outcome, message = event.outcome, event.message
        failpoints.at("step.ended", event.key)
        if self._is_finished(step):  # the store says so, whatever became of the worker
            # A step that was done may have a warning.
            message = message if outcome is Outcome.DONE else ""
            outcome = Outcome.DONE
        elif outcome is Outcome.DONE:
            outcome, message = Outcome.LOST, f"it is not in {self.store.root}"
        if outcome is not Outcome.DONE and self._inputs_to_make_again(step):
            self.leases.release(event.key)
            self.observer.ended(step, Outcome.AGAIN, message, event.log)
            return
        self.observer.ended(step, outcome, message, event.log)
        if outcome is Outcome.DONE:
            self.summary.executed.append(event.key)
            self._is_over(event.key)
            self.store.recipe_path(event.key).unlink(missing_ok=True)
            self.failures.forget(event.key)
            self.leases.release(event.key)
            self._drop_unread(step)
        else:
            self.failures.record(event.key, message, event.log)
            self.leases.release(event.key)
            self.summary.failed[event.key] = message
            self._skip_descendants(event.key)

    def _inputs_to_make_again(self, step: Step) -> bool:
        """Put a step back, once, with those of its inputs that were found corrupt or gone."""
        if step.key in self.tried_again:
            return False
        sources = [self.plan.steps[source] for source in step.inputs.values()]
        if all(self._is_finished(source) for source in sources):
            return False
        self.tried_again.add(step.key)
        ended = self.at_work | self.summary.failed.keys() | self.given_up
        for key, lacking in needed(self.plan, self.store).items():
            if key not in ended:
                self.waiting.setdefault(key, lacking)
                self.todo[key] = lacking
        self.ready = {key for key in self.waiting if self._is_ready(key)}
        return True

    def _skip_descendants(self, key: StepKey) -> None:
        left = list(self.consumers[key])  # no recursion: a run may have thousands of cycles
        while left:
            reader = left.pop(0)
            step = self._no_longer_waits(reader)
            if step is not None:
                self.summary.skipped.append(reader)
                self.given_up.add(reader)
                self.observer.ended(step, Outcome.SKIPPED, "", "")
                left += self.consumers[reader]

    def _drop_unread(self, step: Step) -> None:
        for source in {*step.inputs.values(), step.key}:
            with suppress(StoreError):  # corrupt, quarantined: the next look at the store finds it
                self._drop_weights(source)

    def _drop_weights(self, key: StepKey) -> None:
        """Forget a training's weights once everything that reads them is done."""
        if self.plan.steps[key].kind is not TRAIN or key in self.retained:
            return
        unfinished = (self.waiting, self.at_work, self.summary.failed, self.given_up)
        if any(reader in steps for reader in self.consumers[key] for steps in unfinished):
            return
        if self.store.holds(key, WEIGHTS) and self.store.retention.may_drop(
            key, self.store.is_done
        ):
            self.store.drop(key, WEIGHTS)


def _pause(idle: float, patience: float) -> float:
    """Seconds until the next look at what others have leases of: longer, the longer they work.

    A hundred idle pilots then ask little of a network disk, and none is a tenth late.
    """
    pause = min(LONGEST_PAUSE, max(SHORTEST_PAUSE, idle / 10))
    return max(0.01, min(pause, patience - idle)) if idle else SHORTEST_PAUSE


def _sweep_checkpoints(store: Store) -> None:
    """Remove the checkpoints of trainings that were killed between their commit and their end."""
    for folder in store.checkpointed():
        if store.holds(folder.name, WEIGHTS):
            shutil.rmtree(folder, ignore_errors=True)
