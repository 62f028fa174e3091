"""The command `recommend`: what the guide advises for what is known of a study."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alspec.cli import console
from alspec.cli.planning import planned
from alspec.datasets.base import Split
from alspec.datasets.open import open_dataset
from alspec.datasets.pools.construction import build_pool
from alspec.plan.dag import Plan
from alspec.recommend.guide import Advice, Facts, advise
from alspec.report.publish import budget_level_of
from alspec.spec.model import DatasetSpec


@dataclass(frozen=True, slots=True)
class Known:
    """What the user says; None is measured where there is a spec, else left open.

    Attributes:
        redundancy: low or high.
        budget: low or high.
        ssl: may training use unlabelled images.
    """

    redundancy: str | None = None
    budget: str | None = None
    ssl: bool | None = None


def recommend(spec: Path | None, overrides: Sequence[str], known: Known, *, as_json: bool) -> None:
    """Print the guide's advice, for each setting of a spec or for what is known alone."""
    if spec is None:
        advices = [("", _advise(known.redundancy, known.budget, known.ssl))]
    else:
        advices = list(_for_settings(planned(spec, overrides), known))
    if as_json:
        console.say_json({"advice": [e.to_json() for _, advice in advices for e in advice.entries]})
        return
    for title, advice in advices:
        if title:
            console.out.print(title, markup=False)
        for entry in advice.entries:
            console.say_advice(entry)


def _for_settings(plan: Plan, known: Known) -> Iterator[tuple[str, Advice]]:
    for spec in plan.study.datasets:
        level, measured = known.redundancy, ""
        if level is None:
            level, measured = _measured(spec)
        for setting in (s for s in plan.settings if s.dataset == spec.name):
            about = f"{spec.name}, budget {setting.budget}: redundancy {level or 'unknown'}"
            budget = known.budget or budget_level_of(setting)
            yield about + measured, _advise(level, budget, known.ssl)


def _measured(spec: DatasetSpec) -> tuple[str | None, str]:
    """The redundancy of a dataset's pool, read now, and the words for how it was told."""
    from alspec.datasets.pools.redundancy import measured_redundancy

    dataset = open_dataset(spec)
    pool = build_pool(spec.redundancy, dataset.frames(Split.POOL))
    share, level = measured_redundancy(dataset, pool.frames)
    return level, "" if share is None else f" ({100 * share:.0f} % of frames have a near-copy)"


def _advise(redundancy: str | None, budget: str | None, ssl: bool | None) -> Advice:
    facts: dict[str, Any] = {"redundancy": redundancy, "budget": budget, "ssl": ssl}
    return advise(Facts.model_validate(facts))
