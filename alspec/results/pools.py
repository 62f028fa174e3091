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
        distinct_views: images that it takes for each to be a near-copy of one; None if a former
            version measured something else.
        views_per_image: the same, an image, within (0, 1].
        redundancy: low, high or unsure; None if it was not measured.
        notes: what the reader should know besides.
    """

    images: int
    sequences: int
    distinct_views: int | None
    views_per_image: float | None
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
        distinct_views=described.get("distinct_views"),
        views_per_image=described.get("views_per_image"),
        redundancy=described["redundancy"],
        notes=tuple(described["notes"]),
    )
