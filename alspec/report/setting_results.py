"""The results of each setting: numbers with intervals, what they decide, curves, differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from alspec.report.album import Album
from alspec.report.document import (
    Block,
    Fold,
    Heading,
    Paragraph,
    code,
    items,
    note,
    strong,
    table,
    text,
)
from alspec.report.figures.budget_curves import arms_of, draw_curves
from alspec.report.figures.differences import draw_differences
from alspec.report.findings import Findings
from alspec.report.phrases import UNKNOWN, number, percent, signed, span, with_interval
from alspec.report.verdict import verdict
from alspec.results.doubts import doubts
from alspec.results.flags import Flags
from alspec.results.intervals import LEAST_SEEDS, MARGIN, Difference, Outcome
from alspec.results.s4gan_signals import LEAST_ACCEPTED, LEAST_APART
from alspec.results.standings import Comparison, Entry, over_random
from alspec.results.stats import mean_and_spread

_LETTERS = {"single": "S", "batch": "B"}

MOST_VERDICTS = 3
"""With more comparisons the report opens with a table, and each verdict is beside its numbers."""


def title_of(comparison: Comparison) -> str:
    """A comparison's setting and architecture."""
    arm = ", with MC-dropout layers" if comparison.mc_dropout else ""
    return f"{text(comparison.setting.dataset)}, budget {text(comparison.setting.budget)}{arm}"


def file_name(comparison: Comparison, kind: str) -> str:
    """The name of a comparison's figure, without suffix."""
    arm = "_dropout" if comparison.mc_dropout else ""
    return f"{comparison.setting.dataset}_{comparison.setting.budget}{arm}_{kind}"


def results_section(findings: Findings, album: Album) -> list[Block]:
    """A part a comparison."""
    blocks: list[Block] = [Heading("Results"), _how_to_read(findings.compared)]
    many = len(findings.compared) > MOST_VERDICTS
    for comparison in findings.compared:
        blocks.append(Heading(title_of(comparison), 3))
        if many:
            blocks.append(Paragraph(verdict(comparison)))
        blocks += _one(findings, comparison, album)
    return blocks


def _how_to_read(compared: Sequence[Comparison]) -> Fold:
    """What columns and verdicts mean."""
    lines = [
        "S scores images one by one, B chooses a batch together.",
        "mIoU@B: percent, with B % of the pool labelled. AUC@B: area under the budget curve up to "
        "B %. Both are means over seeds, from 3 seeds on with their 95 % t interval; the highest "
        f"is bold where all methods have the same 3 seeds or more. {strong('full')} is trained on "
        "all images.",
        "Methods are compared with Random of the same arm, paired by seed. A win is a mean "
        f"difference of at least {MARGIN} points of mIoU whose interval is above 0, a tie an "
        f"interval within {MARGIN} points on both sides; all else is undecided.",
        "The intervals of a table hold together: where nothing differs, at most 5 of 100 studies "
        "have a table with a false win or loss.",
    ]
    if any(comparison.mc_dropout for comparison in compared):
        lines.append(
            "Dropout layers in the decoder change the model: methods that need them are compared "
            "among themselves."
        )
    return Fold("How to read the tables", (items(*lines),))


def _one(findings: Findings, comparison: Comparison, album: Album) -> list[Block]:
    where = title_of(comparison)
    blocks: list[Block] = [_table(findings, comparison), *_notes(findings, comparison)]
    for suffix, entries in arms_of(comparison):
        arm = {"_ssl": ", with SSL", "_no-ssl": ", without SSL"}.get(suffix, "")
        blocks.append(
            album.figure(
                file_name(comparison, "curves") + suffix,
                f"Budget curves: {where}{arm}",
                "Lines: mean over seeds. Dots: every seed. Bands: 95 % t interval, from 3 seeds.",
                lambda c=comparison, e=entries: draw_curves(c, e),  # type: ignore[misc]
            )
        )
    return [*blocks, *_differences(comparison, album)]


def _table(findings: Findings, comparison: Comparison) -> Block:
    header = ["Method", "S/B", "SSL", f"mIoU@{percent(comparison.miou_at)}"]
    measures = ["miou"]
    if comparison.auc_at is not None:
        header.append(f"AUC@{percent(comparison.auc_at)}")
        measures.append("auc")
    bold = {measure: _highest(comparison.methods, measure) for measure in measures}
    if comparison.at_initial_set:
        bold["miou"] = ""
    if doubts(comparison).allow_no_order:
        bold = dict.fromkeys(measures, "")
    flagged = any(flags.any for e in comparison.methods if (flags := findings.flags(comparison, e)))
    rows = []
    for entry in (*comparison.methods, *comparison.full):
        best = bold if entry.family != "full" else dict.fromkeys(measures, "")
        row = _row(entry, best)
        if flagged:
            row.append(flag_words(findings.flags(comparison, entry)))
        rows.append(row)
    if flagged:
        header.append("Beware")
    return table(header, rows, left=3, caption=title_of(comparison), right=int(flagged))


def _row(entry: Entry, bold: Mapping[str, str]) -> list[str]:
    cells = [text(entry.method), _LETTERS.get(entry.family, "-"), "✓" if entry.ssl else ""]
    for measure, best in bold.items():
        values = list(getattr(entry, measure).values())
        shown = with_interval(values, len(entry.seeds))
        cells.append(strong(shown) if values and _mean(entry, measure) == best else shown)
    return cells


def _mean(entry: Entry, measure: str) -> str:
    return number(mean_and_spread(list(getattr(entry, measure).values()))[0])


def _highest(entries: Sequence[Entry], measure: str) -> str:
    """The highest mean as printed; empty for one method, unlike seeds, and seeds without interval.

    Bold type is read as a claim.
    """
    ranked = [entry for entry in entries if getattr(entry, measure)]
    seeds = {frozenset(getattr(entry, measure)) for entry in ranked}
    if len(ranked) < 2 or len(seeds) > 1 or len(next(iter(seeds))) < LEAST_SEEDS:
        return ""
    return max((_mean(entry, measure) for entry in ranked), key=float)


def flag_words(flags: Flags | None) -> str:
    """What makes a method's numbers worth less than they look, in a few words."""
    if flags is None:
        return ""
    parts = []
    if flags.inert:
        parts.append(f"self-training inert in {flags.inert} of {flags.sets}")
    if flags.credulous:
        parts.append(f"discriminator accepts everything in {flags.credulous} of {flags.sets}")
    if flags.idle and flags.s4gan and not flags.inert:
        parts.append(f"s4GAN idle: {flags.s4gan.in_words()}")
    if flags.collapsed:
        parts.append(f"collapsed to one class in {flags.collapsed} of {flags.sets}")
    return "; ".join(parts)


def _notes(findings: Findings, comparison: Comparison) -> list[Block]:
    """Warnings that touch every number of a comparison."""
    flags = [f for e in comparison.methods if (f := findings.flags(comparison, e))]
    blocks: list[Block] = []
    unseen = [name for name in (flags[0].unseen if flags else ()) if _unseen_by_all(name, flags)]
    if unseen:
        classes = max(f.classes for f in flags)
        named = ", ".join(text(name) for name in unseen[:8]) + (" …" if len(unseen) > 8 else "")
        blocks.append(
            note(
                f"No method finds {len(unseen)} of the {classes} classes in these means "
                f"({named}): IoU is 0 there, and only the other "
                f"{classes - len(unseen)} tell methods apart."
            )
        )
    if any(f.inert for f in flags):
        blocks.append(
            note(
                "Self-training inert: in a whole training s4GAN accepted no prediction on an "
                "unlabelled image, so only feature matching is left of it. Train longer or lower "
                f"{code('s4gan.threshold')}."
            )
        )
    if any(f.idle and not f.inert for f in flags):
        blocks.append(
            note(
                f"s4GAN idle: on average it accepted under {100 * LEAST_ACCEPTED:g} % of the "
                "unlabelled images, or its discriminator scored true and predicted maps within "
                f"{LEAST_APART:g} of each other. Such arms say nothing of s4GAN."
            )
        )
    if any(f.collapsed for f in flags):
        blocks.append(
            note("Collapsed: the model finds one class at most, so its choices mean little.")
        )
    return blocks


def _unseen_by_all(name: str, flags: Sequence[Flags]) -> bool:
    return all(name in each.unseen for each in flags)


def _differences(comparison: Comparison, album: Album) -> list[Block]:
    if comparison.at_initial_set:
        return []
    found = over_random(comparison)
    if not found:
        return []
    names = {e.key: text(e.name) for e in comparison.methods}
    by_name = {names[key]: each for key, each in found.items()}
    at = percent(comparison.miou_at)
    return [
        album.figure(
            file_name(comparison, "above-random"),
            f"Paired difference to Random: {title_of(comparison)}",
            f"Diamond: mean at {at} % labelled. Dots: seeds. Thick: 95 % interval of a row alone; "
            f"thin: of all rows together, cut at the edge. Grey band: {MARGIN} points, too little "
            "to matter.",
            lambda: draw_differences(by_name),
        ),
        _differences_table(by_name, f"mIoU@{at}", title_of(comparison)),
    ]


def _differences_table(found: Mapping[str, Difference], measure: str, where: str) -> Block:
    """Verdict, mean, interval, seeds, seeds to decide it, p value; what no row has is left out."""
    header = ("Method", "Verdict", f"{measure} above Random", "95 % interval", "Seeds",
              "Seeds to decide", "p, sign-flip")  # fmt: skip
    rows = [(name, *difference_cells(each)) for name, each in found.items()]
    shown = [k for k in range(len(header)) if k < 3 or any(row[k] != UNKNOWN for row in rows)]
    return table(
        [header[k] for k in shown],
        [[row[k] for k in shown] for row in rows],
        left=2,
        caption=f"Above Random: {where}",
    )


def difference_cells(found: Difference) -> tuple[str, ...]:
    """Verdict, mean, interval, seeds, seeds that would decide it, p value."""
    verdict = found.outcome.value
    if found.outcome is Outcome.UNDECIDED and not found.together.known:
        verdict = "too few seeds"
    p = UNKNOWN if found.p is None else number(found.p, 3)
    decide = UNKNOWN if found.seeds_to_decide is None else f"{found.seeds_to_decide:,}"
    interval = span(found.together, sign=True)
    seeds = str(found.together.seeds)
    return verdict, signed(found.points), interval, seeds, decide, p
