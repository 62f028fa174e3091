"""What the finished pool steps found of the pools: their size and their redundancy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from alspec.plan.dag import Plan
from alspec.plan.step import StepKey
from alspec.store.store import Store


@dataclass(frozen=True, slots=True)
class PoolFacts:
    """One pool as measured.

    Attributes:
        images: in the pool.
        sequences: videos they come from.
        near_copy_share: fraction of images, within [0, 1], that nearly repeat another; None if
            not measured.
        redundancy: low or high; None if it could not be told.
        notes: what the reader should know besides.
    """

    images: int
    sequences: int
    near_copy_share: float | None
    redundancy: str | None
    notes: tuple[str, ...] = ()


def read_pools(plan: Plan, store: Store) -> Mapping[StepKey, PoolFacts]:
    """The facts of each finished pool step of the plan.

    Raises:
        StoreError: an artifact is damaged.
    """
    keys = dict.fromkeys(setting.pool_step for setting in plan.settings)
    return {key: _facts(store, key) for key in keys if store.is_done(key)}


def _facts(store: Store, key: StepKey) -> PoolFacts:
    described = store.read_json(key, "pool.json")
    return PoolFacts(
        images=described["images"],
        sequences=described["sequences"],
        near_copy_share=described["near_copy_share"],
        redundancy=described["redundancy"],
        notes=tuple(described["notes"]),
    )
