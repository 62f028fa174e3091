"""What to do with a dataset and a budget: Table 6 with its evidence and its limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

from alspec.recommend.caveats import caveats_of
from alspec.recommend.evidence import Evidence, evidence_of, summary_of
from alspec.recommend.table6 import Cell, Family, Guide, Level, load_guide

_LOW_ENDS_AT_PERCENT = 10.0
_HIGH_STARTS_AT_PERCENT = 50.0
_HIGH_STARTS_AT_IMAGES = 3000
_FEWEST_OF_HIGH = 1320
"""Images at the end of the paper's smallest high budget, 10-10 on its A2D2 pools."""

_UNSURE = (
    "The pool's redundancy lies between the guide's low and high, or it is too small to tell: "
    "both sides are shown."
)
_BETWEEN = (
    "The budget lies between the guide's low (at most 10 % labelled) and high (at least 50 % and "
    f"{_FEWEST_OF_HIGH:,} images): both sides are shown. The paper's one setting there, PASCAL-VOC "
    "5-5, is counted under high."
)


class Facts(BaseModel):
    """What is known of a study; None asks for the advice of both sides.

    Attributes:
        redundancy: of the pool; low is Table 6's "diverse", high its "redundant"; unsure answers
            with both sides.
        budget: labels at the end, see `level_of_budget`; between answers with both sides.
        ssl: the arm: may models be trained with SSL.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    redundancy: Literal["low", "unsure", "high"] | None = None
    budget: Literal["low", "between", "high"] | None = None
    ssl: bool | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One cell's advice.

    Attributes:
        redundancy: of the cell.
        budget: of the cell.
        ssl: the arm asked about.
        family: the advised family of methods.
        use_ssl: whether to train with SSL; not always when it is allowed.
        label: Table 6's words.
        methods: the family's methods, without those that need dropout layers.
        evidence: the paper's settings that fall into the cell.
        caveats: sentences on where and how far to trust it.
    """

    redundancy: Level
    budget: Level
    ssl: bool
    family: Family
    use_ssl: bool
    label: str
    methods: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    caveats: tuple[str, ...]

    @property
    def summary(self) -> str:
        """The evidence in one sentence."""
        return summary_of(self.evidence)

    def to_json(self) -> dict[str, object]:
        """Plain data, as in `recommend --json`."""
        return {
            "redundancy": self.redundancy,
            "budget": self.budget,
            "ssl": self.ssl,
            "family": self.family,
            "use_ssl": self.use_ssl,
            "label": self.label,
            "methods": list(self.methods),
            "evidence": [setting.to_json() for setting in self.evidence],
            "caveats": list(self.caveats),
        }


@dataclass(frozen=True, slots=True)
class Advice:
    """An entry for each cell of Table 6 that the facts leave open."""

    entries: tuple[Entry, ...]

    def to_json(self) -> dict[str, object]:
        """Plain data, as in `recommend --json`."""
        return {"advice": [entry.to_json() for entry in self.entries]}


def advise(facts: Facts) -> Advice:
    """The cells of Table 6 that fit the facts, in the table's order.

    >>> [entry.label for entry in advise(Facts(redundancy="high", budget="low")).entries]
    ['Batch', 'Batch']
    >>> [entry.label for entry in advise(Facts(redundancy="high", budget="high")).entries]
    ['Batch', 'Batch-SSL']
    """
    guide = load_guide()
    return Advice(tuple(_entry(cell, facts, guide) for cell in guide.cells if _fits(cell, facts)))


def _fits(cell: Cell, facts: Facts) -> bool:
    return (
        facts.redundancy in (None, "unsure", cell.redundancy)
        and facts.budget in (None, "between", cell.budget)
        and facts.ssl in (None, cell.ssl)
    )


def _entry(cell: Cell, facts: Facts, guide: Guide) -> Entry:
    family = guide.families[cell.family]
    evidence = evidence_of(cell, guide)
    caveats = (
        *([_UNSURE] if facts.redundancy == "unsure" else []),
        *([_BETWEEN] if facts.budget == "between" else []),
        *caveats_of(cell, evidence, guide),
        *cell.caveats,
        *guide.budgets[cell.budget],
        *family.caveats,
        *guide.redundancies[cell.redundancy],
        *guide.always,
    )
    return Entry(
        redundancy=cell.redundancy,
        budget=cell.budget,
        ssl=cell.ssl,
        family=cell.family,
        use_ssl=cell.use_ssl,
        label=cell.label,
        methods=family.methods,
        evidence=evidence,
        caveats=caveats,
    )


def level_of_budget(
    last_percent: float, last_images: int | None = None
) -> Literal["low", "between", "high"]:
    """Where a budget lies in the guide, by what is labelled at its end.

    Low is at most 10 % of the pool (2-2), high at least 50 % (10-10). The paper also calls its 3K
    task high, 7.5 % of a large pool: 3,000 images or more are therefore high whatever their share.
    Nothing the paper calls low comes near (2-2 on PASCAL-VOC ends at 1,058 images). Its smallest
    high budget ends at 1,320 images, so half of a small pool is not high but between.

    Args:
        last_percent: share of the pool labelled in the last cycle, above 0 and at most 100.
        last_images: the same in images, where known.

    Returns:
        The level; between is a budget on which the guide is silent (`Facts` takes it as it is).

    Raises:
        ValueError: the percentage is not above 0 and at most 100.

    >>> level_of_budget(10), level_of_budget(25), level_of_budget(50)
    ('low', 'between', 'high')
    >>> level_of_budget(7.5, last_images=3000), level_of_budget(50, last_images=150)
    ('high', 'between')
    """
    if not 0 < last_percent <= 100:
        raise ValueError(f"last_percent must be above 0 and at most 100, got {last_percent}")
    if last_images is not None and last_images >= _HIGH_STARTS_AT_IMAGES:
        return "high"
    if last_percent >= _HIGH_STARTS_AT_PERCENT:
        small = last_images is not None and last_images < _FEWEST_OF_HIGH
        return "between" if small else "high"
    return "low" if last_percent <= _LOW_ENDS_AT_PERCENT else "between"
