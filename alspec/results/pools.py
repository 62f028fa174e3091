"""What the finished pool steps found of the pools: their size and their redundancy."""

from __future__ import annotations

from collections.abc import Mapping

from alspec.plan.dag import Plan
from alspec.plan.kinds.pool import PoolFacts
from alspec.plan.step import StepKey
from alspec.store.store import Store

__all__ = ["PoolFacts", "read_pools"]


def read_pools(plan: Plan, store: Store) -> Mapping[StepKey, PoolFacts]:
    """The facts of each finished pool step of the plan.

    Raises:
        StoreError: an artifact is corrupt.
    """
    keys = dict.fromkeys(setting.pool_step for setting in plan.settings)
    return {key: PoolFacts.read(store, key) for key in keys if store.is_done(key)}
