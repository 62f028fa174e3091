"""The paper's figures beside the study's own, as the report shows them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from alspec.report.document import Block, Heading, Paragraph, Table, table, text
from alspec.report.phrases import UNKNOWN, number, over_seeds, percent, signed
from alspec.results.intervals import BySeed
from alspec.results.standings import Comparison, Entry
from alspec.results.stats import mean_and_spread
from alspec.results.table import cycle_at

Figures = Mapping[tuple[str, bool, bool], tuple[float, float | None]]
"""mIoU and AUC as printed, None where there is none, by label, SSL and MC-dropout arm."""


@dataclass(frozen=True, slots=True)
class PaperFigures:
    """What the paper prints for one setting, as plain values.

    Attributes:
        dataset: of the study's setting.
        budget: its budget's name.
        source: where the paper has it, as `Table 4, A2D2 Pool-11f 10-10`.
        miou_at: percent labelled at which mIoU is read.
        auc_at: percent labelled up to which the area runs, as the paper writes it.
        auc_factor: what the paper's table prints over eq. (1); the study's AUC is multiplied by it.
        figures: the paper's, for those methods of the study that it has.
        departures: what the study does otherwise, as `training.epochs 6 instead of 100`.
        notes: sentences on what else to know.
    """

    dataset: str
    budget: str
    source: str
    miou_at: float
    auc_at: float
    auc_factor: int
    figures: Figures
    departures: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def against_section(compared: Sequence[Comparison], paper: Sequence[PaperFigures]) -> list[Block]:
    """The section of the report; empty where the paper has none of the study's settings."""
    shown = []
    for printed in paper:
        here = [c for c in compared if _place(c) == (printed.dataset, printed.budget)]
        rows = [row for comparison in here for row in _rows(comparison, printed)]
        if rows:
            shown.append((printed, _table(rows, printed, here)))
    if not shown:
        return []
    figures_of = [printed for printed, _ in shown]
    everywhere = _in_all([printed.departures for printed in figures_of])
    noted = _in_all([printed.notes for printed in figures_of]) if len(shown) > 1 else []
    about = (
        "This study's means over seeds ± standard deviation beside the means that the paper "
        "prints. The difference is this study minus the paper, in points."
    )
    blocks: list[Block] = [Heading("Against the paper")]
    remarks = " ".join(text(note) for note in noted)
    blocks.append(Paragraph(f"{about} {_departs(everywhere, shown)} {remarks}".strip()))
    for printed, figures in shown:
        title = f"{text(printed.dataset)}, budget {text(printed.budget)}: the paper"
        paragraph = Paragraph(_remarks(printed, everywhere, noted))
        blocks += [Heading(title, 3), figures, paragraph]
    return blocks


def _in_all(lists: Sequence[Sequence[str]]) -> list[str]:
    """What is in every list."""
    return [each for each in lists[0] if all(each in others for others in lists)]


def _departs(everywhere: Sequence[str], shown: Sequence[tuple[PaperFigures, Table]]) -> str:
    if everywhere:
        return f"Read it with care: this study has {_listed(everywhere)}."
    if any(printed.departures for printed, _ in shown):
        return ""
    return "The study's settings are the paper's in all that it gives."


def _listed(departures: Sequence[str]) -> str:
    return "; ".join(text(departure) for departure in departures)


def _place(comparison: Comparison) -> tuple[str, str]:
    return comparison.setting.dataset, comparison.setting.budget


def _table(rows: list[list[str]], printed: PaperFigures, here: Sequence[Comparison]) -> Table:
    measures = [f"mIoU@{percent(printed.miou_at)}"]
    if here[0].auc_at is not None:
        times = f" x {printed.auc_factor}" if printed.auc_factor != 1 else ""
        measures.append(f"AUC@{percent(printed.auc_at)}{times}")
    header = ["Method", "SSL"]
    for measure in measures:
        header += [f"{measure} here", "paper", "difference"]
    return table(header, rows, left=2)


def _rows(comparison: Comparison, printed: PaperFigures) -> list[list[str]]:
    rows = []
    for entry in (*comparison.methods, *comparison.full):
        found = printed.figures.get((*entry.key, comparison.mc_dropout))
        if found is None:
            continue
        miou, auc = found
        arm = " (MC-dropout)" if comparison.mc_dropout else ""
        cells = [text(entry.method) + arm, "✓" if entry.ssl else ""]
        cells += _beside(_miou(comparison, entry, printed.miou_at), entry, miou)
        if comparison.auc_at is not None:
            ours = {seed: printed.auc_factor * area for seed, area in entry.auc.items()}
            cells += _beside(ours, entry, auc)
        rows.append(cells)
    return rows


def _miou(comparison: Comparison, entry: Entry, at: float) -> BySeed:
    """The mIoU where the paper reads it, whatever the study's own headline is."""
    cycle = 0 if entry.family == "full" else cycle_at(comparison.budget_percent, at)
    return {} if cycle is None else entry.curve.get(cycle, {})


def _beside(ours: BySeed, entry: Entry, theirs: float | None) -> list[str]:
    mean = mean_and_spread(list(ours.values()))[0]
    apart = math.nan if theirs is None else mean - theirs
    return [
        over_seeds(list(ours.values()), len(entry.seeds)),
        UNKNOWN if theirs is None else number(theirs),
        signed(apart),
    ]


def _remarks(printed: PaperFigures, everywhere: Sequence[str], noted: Sequence[str]) -> str:
    sentences = [f"The paper: {text(printed.source)}."]
    own = [departure for departure in printed.departures if departure not in everywhere]
    if own:
        sentences.append(f"Here this study has {_listed(own)}.")
    if printed.auc_factor != 1:
        sentences.append(
            f"This table of the paper prints {printed.auc_factor} times the area of its eq. (1), "
            f"so for the comparison the study's AUC is multiplied by {printed.auc_factor} here; "
            "everywhere else it follows eq. (1)."
        )
    return " ".join([*sentences, *(text(note) for note in printed.notes if note not in noted)])
