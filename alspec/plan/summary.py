"""The plan in numbers."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TypedDict

from alspec.plan.cost.disk import disk_bytes
from alspec.plan.dag import Plan
from alspec.plan.kinds import KINDS


class SettingData(TypedDict):
    """A pool and a budget in numbers."""

    dataset: str
    pool: str
    budget: str
    pool_images: int
    labelled_images: list[int]


class PlanData(TypedDict):
    """A plan in numbers."""

    study: str
    runs: int
    trainings: int
    trainings_unshared: int
    steps: int
    done: int
    settings: list[SettingData]
    seconds: float | None
    disk_bytes: int


def as_data(plan: Plan, done: Collection[str], seconds: float | None = None) -> PlanData:
    """The plan as `plan --json` prints it.

    Args:
        plan: a study, expanded.
        done: keys of the steps that the store has.
        seconds: estimated wall time of the others; None if it is not known.
    """
    return {
        "study": plan.study.study,
        "runs": len(plan.runs),
        "trainings": plan.trainings,
        "trainings_unshared": plan.trainings_unshared,
        "steps": len(plan.steps),
        "done": len(done),
        "settings": settings_as_data(plan),
        "seconds": seconds,
        "disk_bytes": disk_bytes(plan),
    }


def settings_as_data(plan: Plan) -> list[SettingData]:
    """Each pool and budget, with how many images are labelled at each cycle."""
    return [
        {
            "dataset": setting.dataset,
            "pool": setting.pool,
            "budget": setting.budget,
            "pool_images": setting.pool_images,
            "labelled_images": list(setting.labelled_images),
        }
        for setting in plan.settings
    ]


def step_rows(plan: Plan, done: Collection[str]) -> Iterator[tuple[str, int, int, int]]:
    """For each kind of step: its name, how many there are, are done, are to run."""
    for kind in KINDS.values():
        keys = [step.key for step in plan.in_order() if step.kind is kind]
        finished = sum(key in done for key in keys)
        yield kind.name, len(keys), finished, len(keys) - finished
