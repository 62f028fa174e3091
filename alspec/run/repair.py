"""Recomputes corrupt steps within the run that finds them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TypeVar

from alspec.errors import StoreError
from alspec.plan.dag import Plan
from alspec.plan.step import Step, StepKey
from alspec.run.loop import RunSummary, needed
from alspec.store.drafts import sweep
from alspec.store.store import Store
from alspec.system import failpoints

ROUNDS = 3
"""Damage that comes back this often is the disk's, and the user's to deal with."""

Published = TypeVar("Published")


def quarantine_corrupt(plan: Plan, store: Store) -> list[str]:
    """Quarantine every finished step of a plan that is not as it was committed.

    Returns:
        What was found, a sentence a step.

    Raises:
        StoreError: a corrupt step cannot be moved.
    """
    found = []
    for key in plan.steps:
        if not store.is_done(key):
            continue
        failpoints.at("repair.verify", store.home(key))
        try:
            store.verify(key)
        except StoreError as err:
            if store.is_done(key):
                raise
            failpoints.at("repair.found", store.home(key))
            found.append(_described(err))
    return found


def run_to_publication(
    plan: Plan,
    store: Store,
    run_steps: Callable[[Mapping[StepKey, Step]], RunSummary],
    publish: Callable[[], Published],
    tell: Callable[[str], None],
    among: Collection[StepKey] | None = None,
) -> tuple[RunSummary, Published]:
    """Run what a plan needs and publish it; what is found corrupt on the way is recomputed.

    Args:
        plan: the study, expanded.
        store: where its steps are committed.
        run_steps: runs the steps it is given.
        publish: reads the store and writes tables and report.
        tell: called with each corrupt step.
        among: the steps that are wanted; None for all.

    Returns:
        What was done in all, and what `publish` returned.

    Raises:
        StoreError: a step is corrupt again and again, or cannot be quarantined.
    """
    store.folders.adopt_old_names()
    for folder in store.folders.written_beside:
        sweep(folder)
    done = RunSummary()
    for left in reversed(range(ROUNDS)):
        for damage in quarantine_corrupt(plan, store):
            tell(damage)
        summary = run_steps(needed(plan, store, among))
        done.finished_before = done.finished_before or summary.finished_before
        done.executed += summary.executed
        done.elsewhere += summary.elsewhere
        done.failed, done.skipped, done.held = summary.failed, summary.skipped, summary.held
        done.stopped = summary.stopped
        try:
            published = publish()
        except StoreError as err:
            if not left:
                raise
            tell(_described(err))
            failpoints.at("repair.again", store.root)
            continue
        ends = summary.failed or summary.held or summary.stopped
        if ends or not left or not needed(plan, store, among):
            break
    return done, published


def _described(err: StoreError) -> str:
    """What was corrupt, without the advice to run again: this run does."""
    return str(err).removesuffix(". Run again")
