"""What methods bought: views, near-copies, sequences, classes, and how alike their choices are."""

from __future__ import annotations

import math

from alspec.plan.dag import Setting
from alspec.report.album import Album
from alspec.report.document import Block, Fold, Heading, Paragraph, table, text
from alspec.report.figures.bars import draw_views
from alspec.report.figures.grids import draw_grid, draw_ratios
from alspec.report.findings import Findings
from alspec.report.phrases import number
from alspec.results.bought_classes import BoughtClasses
from alspec.results.selections import SelectionAudit


def selection_section(findings: Findings, album: Album) -> list[Block]:
    """A part a setting; empty where nothing was chosen yet."""
    blocks: list[Block] = []
    for setting, audit in findings.audits.items():
        blocks += _one(setting, audit, album)
    if not blocks:
        return []
    about = (
        "Means over seeds, without the initial set, which is the same for all. Views: percent of "
        "the chosen images that show what no image chosen before shows from nearby in time. "
        "Near-copies: percent of a batch with a neighbour in time in the same batch. Sequences: "
        "percent of the pool's."
    )
    return [Heading("What was chosen"), Paragraph(about), *blocks]


def _one(setting: Setting, audit: SelectionAudit, album: Album) -> list[Block]:
    where = f"{text(setting.dataset)}, budget {text(setting.budget)}"
    names = [text(row.name) + (" (dropout)" if row.mc_dropout else "") for row in audit.rows]
    rows = [
        (
            name,
            number(row.images, 0),
            number(row.views, 0),
            number(row.near_copies, 0),
            number(row.sequences, 0),
        )
        for name, row in zip(names, audit.rows, strict=True)
    ]
    header = ("Method", "Images", "Views (%)", "Near-copies (%)", "Sequences (%)")
    blocks: list[Block] = [
        Heading(f"Chosen: {where}", 3),
        table(header, rows, caption=f"What was chosen: {where}"),
    ]
    name = f"{setting.dataset}_{setting.budget}"
    by_name = dict(zip(names, audit.rows, strict=True))
    blocks.append(
        album.figure(
            f"{name}_views",
            f"Views and near-copies: {where}",
            "Of the images that each method chose. Little redundancy is bought where blue is long "
            "and orange short.",
            lambda: draw_views({n: (row.views, row.near_copies) for n, row in by_name.items()}),
        )
    )
    if audit.overlap:
        values = [
            [100.0 if a == b else _overlap(audit, a, b) for b in range(len(names))]
            for a in range(len(names))
        ]
        blocks.append(
            album.figure(
                f"{name}_overlap",
                f"Overlap of choices: {where}",
                "Percent of the images of two methods' choices that both made, mean over seeds.",
                lambda: draw_grid(names, names, values, "overlap (%)"),
            )
        )
    if audit.classes is not None:
        blocks += _classes(name, where, names, audit.classes, album)
    return blocks


def _classes(
    name: str, where: str, methods: list[str], found: BoughtClasses, album: Album
) -> list[Block]:
    """The class histogram of each method's choices over the pool's, and its numbers."""
    classes = [text(each) for each in found.names]
    ratios = found.ratios.T.tolist()
    rows = [
        (each, number(pool), *(number(value) for value in chosen))
        for each, pool, chosen in zip(
            classes, found.pool.tolist(), found.chosen.T.tolist(), strict=True
        )
    ]
    return [
        album.figure(
            f"{name}_bought",
            f"Classes bought, against the pool: {where}",
            "A class's share of the pixels of the chosen images over its share of the whole pool: "
            "2 is twice as much as at random, 1 the same.",
            lambda: draw_ratios(classes, methods, ratios, "times the pool's share"),
        ),
        Fold(
            "Percent of the pixels by class",
            (table(("Class", "Pool", *methods), rows, caption=f"Classes bought: {where}"),),
        ),
    ]


def _overlap(audit: SelectionAudit, one: int, other: int) -> float:
    return audit.overlap.get((min(one, other), max(one, other)), math.nan)
