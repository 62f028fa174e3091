"""What methods bought: views, near-copies, sequences, and how alike their choices are."""

from __future__ import annotations

import math

from alspec.plan.dag import Setting
from alspec.report.album import Album
from alspec.report.document import Block, Heading, Paragraph, table, text
from alspec.report.figures.grids import draw_grid
from alspec.report.findings import Findings
from alspec.report.phrases import number
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
    if audit.overlap:
        values = [
            [100.0 if a == b else _overlap(audit, a, b) for b in range(len(names))]
            for a in range(len(names))
        ]
        blocks.append(
            album.figure(
                f"{setting.dataset}_{setting.budget}_overlap",
                f"Overlap of choices: {where}",
                "Percent of the images of two methods' choices that both made, mean over seeds.",
                lambda: draw_grid(names, names, values, "overlap (%)"),
            )
        )
    return blocks


def _overlap(audit: SelectionAudit, one: int, other: int) -> float:
    return audit.overlap.get((min(one, other), max(one, other)), math.nan)
