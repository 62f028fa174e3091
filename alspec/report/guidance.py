"""What the guide advises for a setting, as the report is told it, and whether the study agrees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from alspec.report.markdown_text import listed, number, percent, text
from alspec.report.verdict import judged
from alspec.results.standings import Comparison, Entry, Margin, Standing, standing


@dataclass(frozen=True, slots=True)
class Guidance:
    """The guide's advice for one setting and one arm, as plain values.

    Attributes:
        dataset: of the setting.
        budget: its budget's name.
        redundancy: of the pool, as the guide was asked: low or high.
        budget_level: low or high.
        ssl: the arm asked about; True may use s4GAN.
        family: advised: random, single or batch.
        use_ssl: whether to train with s4GAN.
        label: the cell of the guide, as `Batch-SSL`.
        methods: acquisition functions of that cell.
        evidence: one sentence on what the paper's own rows say of the cell.
        caveats: where the advice does not hold.
    """

    dataset: str
    budget: str
    redundancy: str
    budget_level: str
    ssl: bool
    family: str
    use_ssl: bool
    label: str
    methods: tuple[str, ...] = ()
    evidence: str = ""
    caveats: tuple[str, ...] = ()

    def describes(self, entry: Entry) -> bool:
        """Whether a method of the study is what the guide advises."""
        return entry.family == self.family and entry.ssl is self.use_ssl


Asked: TypeAlias = tuple[Guidance, Comparison]
"""An advice and the setting it is for."""


def guide_section(compared: Sequence[Comparison], guidance: Sequence[Guidance]) -> str:
    """The guide beside the study, each advice and each caveat once; empty without any advice."""
    here = {(c.setting.dataset, c.setting.budget): c for c in compared if not c.mc_dropout}
    asked = [(g, here[g.dataset, g.budget]) for g in guidance if (g.dataset, g.budget) in here]
    if not asked:
        return ""
    cells: dict[tuple[str, str, bool], list[Asked]] = {}
    for advice, comparison in asked:
        cell = advice.redundancy, advice.budget_level, advice.ssl
        cells.setdefault(cell, []).append((advice, comparison))
    about = "What Table 6 of the paper advises for pools and budgets such as these."
    items = "\n".join(guidance_item(same) for same in cells.values())
    caveats = caveats_block([advice for advice, _ in asked])
    return "\n\n".join(filter(None, ["## The guide", about, items, caveats]))


def guidance_item(same: Sequence[Asked]) -> str:
    """One list item: the advice, its evidence, and what this study says to it in each setting.

    Args:
        same: settings that get the same advice, at least one.
    """
    guidance = same[0][0]
    arm = "with s4GAN allowed" if guidance.ssl else "without s4GAN"
    such = f" ({listed([text(m) for m in guidance.methods], 'or')})" if guidance.methods else ""
    parts = [
        f"- Redundancy {text(guidance.redundancy)}, budget {text(guidance.budget_level)}, {arm}: "
        f"the guide advises **{text(guidance.label)}**{such}."
    ]
    if guidance.evidence:
        parts.append(f"The paper: {text(guidance.evidence)}")
    found = [
        f"  - {_place(advice)}: this study {_agreement(advice, comparison)}."
        for advice, comparison in same
    ]
    return "\n".join([" ".join(parts), *found])


def caveats_block(advice: Sequence[Guidance]) -> str:
    """The caveats of several entries, each once, with its settings if not all have it."""
    places: dict[str, dict[str, None]] = {}
    for guidance in advice:
        for caveat in guidance.caveats:
            places.setdefault(caveat, {})[_place(guidance)] = None
    if not places:
        return ""
    everywhere = {_place(guidance) for guidance in advice}
    lines = []
    for caveat, where in places.items():
        whose = "" if set(where) == everywhere else f"{listed(list(where))}: "
        lines.append(f"- {whose}{text(caveat)}")
    return "Caveats:\n\n" + "\n".join(lines)


def _place(guidance: Guidance) -> str:
    return f"{text(guidance.dataset)} {text(guidance.budget)}"


def _agreement(guidance: Guidance, comparison: Comparison) -> str:
    eligible = [entry for entry in comparison.methods if guidance.ssl or not entry.ssl]
    advised = [entry for entry in eligible if guidance.describes(entry)]
    if not advised:
        return "cannot tell: it has no such method"
    if not any(entry.miou for entry in advised):
        return "cannot tell yet: no such method is finished"
    if len(eligible) == len(advised):
        return "cannot tell: it has no other method to compare with"
    if comparison.at_initial_set:
        return "cannot tell: all methods still share the initial set"
    found = standing(eligible, "miou")
    if found is None or found.over_next is None:
        return "cannot tell yet: too little is finished"
    return _compared(guidance, found, eligible, percent(comparison.miou_at))


def _compared(guidance: Guidance, found: Standing, eligible: Sequence[Entry], at: str) -> str:
    best = f"{text(found.best.name)} is best at {at} %"
    agrees = guidance.describes(found.best)
    rivals = [entry for entry in eligible if guidance.describes(entry) is not agrees]
    margin = _over_best_of(found.best, rivals)
    if margin is None:
        return f"cannot tell yet: {best}, but nothing stands against it"
    against = f"{best}, {number(margin.points)} above {text(margin.other.name)}, {judged(margin)}"
    return f"agrees: {against}" if agrees else f"does not agree: {against}"


def _over_best_of(best: Entry, rivals: Sequence[Entry]) -> Margin | None:
    """The margin over the best rival."""
    found = standing([best, *rivals], "miou")
    if found is None or found.over_next is None or found.best.key != best.key:
        return None
    return found.over_next
