"""Asks the guide on behalf of a study: redundancy is measured, budgets are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from alspec.datasets.base import Split
from alspec.datasets.open import open_dataset
from alspec.datasets.pools.construction import build_pool
from alspec.plan.dag import Plan, Setting
from alspec.recommend.guide import Advice, Facts, advise, level_of_budget
from alspec.spec.model import DatasetSpec


@dataclass(frozen=True, slots=True)
class Known:
    """What the user says; None is measured where there is a study, else left open.

    Attributes:
        redundancy: low or high.
        budget: low or high.
        ssl: may training use unlabelled images.
    """

    redundancy: str | None = None
    budget: str | None = None
    ssl: bool | None = None


def advice_for(plan: Plan | None, known: Known) -> Iterator[tuple[str, Advice]]:
    """The guide's advice with a title, for each setting of a plan or for what is known alone."""
    if plan is None:
        yield "", _advise(known.redundancy, known.budget, known.ssl)
        return
    for spec in plan.study.datasets:
        level, measured = known.redundancy, ""
        if level is None:
            level, measured = _measured(spec)
        for setting in (s for s in plan.settings if s.dataset == spec.name):
            about = f"{spec.name}, budget {setting.budget}: redundancy {level or 'unknown'}"
            budget = known.budget or budget_level_of(setting)
            yield about + measured, _advise(level, budget, known.ssl)


def advice_of_setting(setting: Setting, redundancy: str | None) -> Advice:
    """The guide's advice for a setting, with and without SSL, both sides of what is not known."""
    return _advise(redundancy, budget_level_of(setting), None)


def budget_level_of(setting: Setting) -> str:
    """Where the setting's last labelled set lies in the guide: low, between or high."""
    last = setting.labelled_images[-1]
    return level_of_budget(100 * last / setting.pool_images, last)


def _measured(spec: DatasetSpec) -> tuple[str | None, str]:
    """The redundancy of a dataset's pool, read now, and how it was measured, in words."""
    from alspec.datasets.pools.redundancy import measured_redundancy

    dataset = open_dataset(spec)
    pool = build_pool(spec.redundancy, dataset.frames(Split.POOL))
    share, level = measured_redundancy(dataset, pool.frames)
    return level, "" if share is None else f" ({100 * share:.0f} % of frames have a near-copy)"


def _advise(redundancy: str | None, budget: str | None, ssl: bool | None) -> Advice:
    facts: dict[str, Any] = {"redundancy": redundancy, "budget": budget, "ssl": ssl}
    return advise(Facts.model_validate(facts))
