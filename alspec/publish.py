"""Brings results, guide and report together: the files of a study's folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from alspec.plan.dag import Plan, Setting
from alspec.recommend.guide import Advice, Facts, advise, level_of_budget
from alspec.report.guidance import Guidance
from alspec.report.markdown import write_report
from alspec.results.pools import read_pools
from alspec.store import StudyFolder


def publish(plan: Plan, folder: StudyFolder) -> Path:
    """Write tables, selections, figures and report of what is finished; the path of the report."""
    return write_report(plan, folder, list(guidance_for(plan, folder)))


def guidance_for(plan: Plan, folder: StudyFolder) -> Iterator[Guidance]:
    """What the guide says of each setting whose pool has been measured."""
    pools = read_pools(plan, folder.store)
    for setting in plan.settings:
        facts = pools.get(setting.pool_step)
        if facts is None or facts.redundancy not in ("low", "high"):
            continue
        for entry in advice_for(setting, facts.redundancy).entries:
            yield Guidance(
                dataset=setting.dataset,
                budget=setting.budget,
                redundancy=entry.redundancy,
                budget_level=entry.budget,
                ssl=entry.ssl,
                family=entry.family,
                use_ssl=entry.use_ssl,
                label=entry.label,
                methods=entry.methods,
                evidence=entry.summary,
                caveats=entry.caveats,
            )


def advice_for(setting: Setting, redundancy: str | None, ssl: bool | None = None) -> Advice:
    """The guide's advice for a setting, both sides of what is not known."""
    last = setting.labelled_images[-1]
    level = level_of_budget(100 * last / setting.pool_images, last)
    return advise(Facts.model_validate({"redundancy": redundancy, "budget": level, "ssl": ssl}))
