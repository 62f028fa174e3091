"""What the guide advises for a setting, and whether the study agrees with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from alspec.report.document import Block, Fold, Heading, Item, Items, Paragraph, items, strong, text
from alspec.report.phrases import listed, number, percent
from alspec.report.verdict import judged
from alspec.results.intervals import Difference, Outcome, difference
from alspec.results.standings import Comparison, Entry, standing


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


Idle: TypeAlias = Callable[[Comparison, Entry], bool]
"""Whether s4GAN did next to nothing in a method's trainings."""


def _never(_comparison: Comparison, _entry: Entry) -> bool:
    return False


def guide_section(
    compared: Sequence[Comparison], guidance: Sequence[Guidance], idle: Idle = _never
) -> list[Block]:
    """The guide beside the study, each advice and each caveat once; empty without any advice.

    Args:
        compared: the study's settings.
        guidance: what the guide says of them.
        idle: arms that no judgement of advice rests on.
    """
    here = {(c.setting.dataset, c.setting.budget): c for c in compared if not c.mc_dropout}
    asked = [(g, here[g.dataset, g.budget]) for g in guidance if (g.dataset, g.budget) in here]
    if not asked:
        return []
    cells: dict[tuple[str, str, bool], list[Asked]] = {}
    for advice, comparison in asked:
        cell = advice.redundancy, advice.budget_level, advice.ssl
        cells.setdefault(cell, []).append((advice, comparison))
    about = "What Table 6 of the paper advises for pools and budgets such as these."
    listing = Items(tuple(_listing(list(cells.values()), idle)))
    caveats = caveats_block([advice for advice, _ in asked])
    return [Heading("The guide"), Paragraph(about), listing, *caveats]


def _listing(cells: Sequence[Sequence[Asked]], idle: Idle) -> Iterator[Item]:
    """An item a cell; one for both arms where advice and findings are the same."""
    alike: dict[tuple[object, ...], list[Sequence[Asked]]] = {}
    for same in cells:
        advice = same[0][0]
        cell = advice.redundancy, advice.budget_level, advice.label, advice.methods, advice.evidence
        alike.setdefault((*cell, *_findings(same, idle)), []).append(same)
    for arms in alike.values():
        either = len({same[0][0].ssl for same in arms}) == 2
        yield guidance_item(arms[0], idle, "with or without s4GAN" if either else "")


def guidance_item(same: Sequence[Asked], idle: Idle = _never, arm: str = "") -> Item:
    """One list item: the advice, its evidence, and what this study says to it in each setting.

    Args:
        same: settings that get the same advice, at least one.
        idle: arms that no judgement rests on.
        arm: which SSL arms it is for, in words; those of the advice if left out.
    """
    guidance = same[0][0]
    arm = arm or ("with s4GAN allowed" if guidance.ssl else "without s4GAN")
    such = f" ({listed([text(m) for m in guidance.methods], 'or')})" if guidance.methods else ""
    sentence = (
        f"Redundancy {text(guidance.redundancy)}, budget {text(guidance.budget_level)}, {arm}: "
        f"the guide advises {strong(text(guidance.label))}{such}."
    )
    if guidance.evidence:
        sentence += f" The paper: {text(guidance.evidence)}"
    return Item(sentence, _findings(same, idle))


def _findings(same: Sequence[Asked], idle: Idle) -> tuple[str, ...]:
    return tuple(
        f"{_place(advice)}: this study {agreement(advice, comparison, idle)}."
        for advice, comparison in same
    )


def caveats_block(advice: Sequence[Guidance]) -> list[Block]:
    """The caveats of several entries, each once, with its settings if not all have it."""
    places: dict[str, dict[str, None]] = {}
    for guidance in advice:
        for caveat in guidance.caveats:
            places.setdefault(caveat, {})[_place(guidance)] = None
    if not places:
        return []
    everywhere = {_place(guidance) for guidance in advice}
    lines = []
    for caveat, where in places.items():
        whose = "" if set(where) == everywhere else f"{listed(list(where))}: "
        lines.append(f"{whose}{text(caveat)}")
    return [Fold("Caveats", (items(*lines),))]


def _place(guidance: Guidance) -> str:
    return f"{text(guidance.dataset)} {text(guidance.budget)}"


def agreement(guidance: Guidance, comparison: Comparison, idle: Idle = _never) -> str:
    """Whether the study agrees with an advice, disagrees or is undecided, with the numbers."""
    allowed = [entry for entry in comparison.methods if guidance.ssl or not entry.ssl]
    eligible = [entry for entry in allowed if not idle(comparison, entry)]
    if any(map(guidance.describes, allowed)) and not any(map(guidance.describes, eligible)):
        return "cannot tell: s4GAN did next to nothing in the arms that the guide advises"
    advised = [entry for entry in eligible if guidance.describes(entry)]
    others = [entry for entry in eligible if not guidance.describes(entry)]
    if not advised:
        return "cannot tell: it has no such method"
    if not any(entry.miou for entry in advised):
        return "cannot tell yet: no such method is finished"
    if not others:
        return "cannot tell: it has no other method to compare with"
    if comparison.at_initial_set:
        return "cannot tell: all methods still share the initial set"
    one, other = _best(advised, "miou"), _best(others, "miou")
    if one is None or other is None or not set(one.miou) & set(other.miou):
        return "cannot tell yet: too little is finished"
    found = {"miou": _over(one, others, "miou", comparison)}
    area = _best(advised, "auc")
    if comparison.auc_at is not None and area and any(entry.auc for entry in others):
        found["auc"] = _over(area, others, "auc", comparison)
    return _said(found, comparison)


_Rival = tuple[Entry, Entry, Difference]
"""The best advised method, the best other one, and their difference."""


def _best(entries: Sequence[Entry], measure: str) -> Entry | None:
    found = standing(entries, measure)
    return found.best if found else None


def _over(best: Entry, others: Sequence[Entry], measure: str, comparison: Comparison) -> _Rival:
    rival = _best(others, measure) or next(e for e in others if getattr(e, measure))
    apart = difference(
        getattr(best, measure),
        getattr(rival, measure),
        comparisons=sum(bool(getattr(e, measure)) for e in others),
        margin=comparison.margin(measure),
    )
    return best, rival, apart


def _said(found: dict[str, _Rival], comparison: Comparison) -> str:
    outcomes = {apart.outcome for _, _, apart in found.values()}
    numbers = "; ".join(_numbers(m, rival, comparison) for m, rival in found.items())
    if outcomes <= {Outcome.TIE}:
        return f"finds the advice as good as the best other method, a tie: {numbers}"
    if Outcome.WIN in outcomes and Outcome.LOSS not in outcomes:
        return f"agrees: {numbers}"
    if Outcome.LOSS in outcomes and Outcome.WIN not in outcomes:
        return f"disagrees: {numbers}"
    return f"cannot tell: {numbers}"


def _numbers(measure: str, rival: _Rival, comparison: Comparison) -> str:
    one, other, apart = rival
    title = "AUC" if measure == "auc" else f"mIoU at {percent(comparison.miou_at)} %"
    side = "above" if apart.points >= 0 else "below"
    ahead = sum(value > 0 for value in apart.by_seed.values())
    seeds = len(apart.by_seed)
    each = f", ahead in {ahead} of {seeds} seeds" if seeds > 1 else ""
    return (
        f"by {title} {text(one.name)} is {number(abs(apart.points))} {side} {text(other.name)}"
        f"{each}, {judged(apart)}"
    )
