"""Counts processes that were killed at a step, so that none is tried for ever by new pilots."""

from __future__ import annotations

from collections.abc import Callable

from alspec.plan.dag import Plan
from alspec.store.failures import Failures
from alspec.store.leases import Holder
from alspec.store.store import Store


def counted_deaths(plan: Plan, store: Store, failures: Failures) -> Callable[[str, Holder], None]:
    """What `Leases.died` is to be for a run.

    A process that wrote a checkpoint before it was killed has got further; it does not count.

    Args:
        plan: whose steps are counted.
        store: where their checkpoints are.
        failures: where the deaths are recorded.
    """

    def died(key: str, holder: Holder) -> None:
        if key in plan.steps and _last_checkpoint(store, key) <= holder.since:
            failures.record_death(key, holder)

    return died


def _last_checkpoint(store: Store, key: str) -> float:
    """When a step's newest checkpoint was written, by the disk's clock; -1 where it has none."""
    try:
        return max((path.stat().st_mtime for path in store.checkpoints(key).glob("*")), default=-1)
    except OSError:  # gone meanwhile: with a newer one, or with the step's end
        return float("inf")
