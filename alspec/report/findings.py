"""All that a report is written from, read and computed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from alspec.plan.dag import Plan, Setting
from alspec.plan.step import StepKey
from alspec.report.guidance import Guidance
from alspec.report.paper_comparison import PaperFigures
from alspec.results.epochs import EpochTable, read_epochs
from alspec.results.flags import Flags, flags_of
from alspec.results.illustrations import Illustrations, read_illustrations
from alspec.results.leaks import SplitLeak
from alspec.results.pools import PoolFacts, read_pools
from alspec.results.provenance import versions_of
from alspec.results.selections import SelectionAudit, audit_of
from alspec.results.standings import Comparison, Entry, comparisons
from alspec.results.table import Results
from alspec.store.store import Store

if TYPE_CHECKING:
    from pandas import DataFrame

_ENTRY = ["dataset", "pool", "budget", "method", "ssl", "mc_dropout"]


@dataclass(frozen=True)
class Findings:
    """A study's plan, results and what its steps stored besides.

    Attributes:
        plan: the study, expanded.
        results: what is finished of it.
        pools: the facts of its finished pool steps.
        epochs: training curves by train key.
        audits: what the first acquisitions chose, by dataset and budget.
        illustrations: what steps stored to be looked at.
        versions: of Python and libraries, of the finished trainings.
        guidance: what the guide advises for its settings.
        paper: the paper's figures for those of its settings that the paper has.
        leaks: validation images that the pools have too, by dataset.
    """

    plan: Plan
    results: Results
    pools: Mapping[StepKey, PoolFacts]
    epochs: Mapping[str, EpochTable] = field(default_factory=dict)
    audits: Mapping[Setting, SelectionAudit] = field(default_factory=dict)
    illustrations: Illustrations = field(default_factory=Illustrations)
    versions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    guidance: Sequence[Guidance] = ()
    paper: Sequence[PaperFigures] = ()
    leaks: Mapping[str, SplitLeak] = field(default_factory=dict)

    @cached_property
    def compared(self) -> tuple[Comparison, ...]:
        """Every setting and architecture, in plan order."""
        return comparisons(self.plan, self.results)

    @cached_property
    def _groups(self) -> tuple[dict[tuple[object, ...], DataFrame], ...]:
        """Labelled sets and classes of each method in a setting."""
        frames = (self.results.sets, self.results.classes)
        return tuple(dict(list(frame.groupby(_ENTRY, sort=False))) for frame in frames)

    def sets_of(self, comparison: Comparison, entry: Entry) -> DataFrame:
        """The finished labelled sets of a method in a comparison."""
        return self._groups[0].get(_key(comparison, entry), self.results.sets.iloc[:0])

    def classes_of(self, comparison: Comparison, entry: Entry) -> DataFrame:
        """Its rows of classes.csv."""
        return self._groups[1].get(_key(comparison, entry), self.results.classes.iloc[:0])

    @cached_property
    def _flags(self) -> dict[tuple[object, ...], Flags]:
        return {
            _key(comparison, entry): flags_of(
                comparison,
                entry,
                self.sets_of(comparison, entry),
                self.classes_of(comparison, entry),
                self.epochs,
            )
            for comparison in self.compared
            for entry in (*comparison.methods, *comparison.full)
            if entry.curve
        }

    def flags(self, comparison: Comparison, entry: Entry) -> Flags | None:
        """What to know beside a method's numbers; None where it has none yet."""
        return self._flags.get(_key(comparison, entry))

    def s4gan_idle(self, comparison: Comparison, entry: Entry) -> bool:
        """Whether s4GAN did next to nothing in a method's trainings."""
        flags = self.flags(comparison, entry)
        return flags is not None and flags.idle

    def settings(self) -> list[tuple[Setting, list[Comparison]]]:
        """The settings with their comparisons, one an architecture."""
        grouped: dict[int, tuple[Setting, list[Comparison]]] = {}
        for comparison in self.compared:
            setting = comparison.setting
            grouped.setdefault(id(setting), (setting, []))[1].append(comparison)
        return list(grouped.values())


def read_findings(
    plan: Plan,
    store: Store,
    results: Results,
    guidance: Sequence[Guidance] = (),
    paper: Sequence[PaperFigures] = (),
    leaks: Mapping[str, SplitLeak] | None = None,
) -> Findings:
    """Read what the finished steps stored besides the tables.

    Raises:
        StoreError: an artifact is corrupt.
    """
    return Findings(
        plan=plan,
        results=results,
        pools=read_pools(plan, store),
        epochs=read_epochs(store, results.sets["train_key"]),
        audits={
            setting: audit
            for setting in plan.settings
            if (audit := audit_of(plan, setting, store)) is not None
        },
        illustrations=read_illustrations(plan, store),
        versions=versions_of(store, results.sets["train_key"]),
        guidance=guidance,
        paper=paper,
        leaks=leaks or {},
    )


def _key(comparison: Comparison, entry: Entry) -> tuple[object, ...]:
    setting = comparison.setting
    where = setting.dataset, setting.pool, setting.budget
    return (*where, entry.method, entry.ssl, comparison.mc_dropout)
