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
from alspec.results.selections import Chosen, SelectionAudit

LEAST_NEIGHBOURS = 0.05
"""Share of a pool's images with a near-copy beside them, from which its order is taken as time."""


def selection_section(findings: Findings, album: Album) -> list[Block]:
    """A part a setting; empty where nothing was chosen yet."""
    blocks: list[Block] = []
    for setting, audit in findings.audits.items():
        facts = findings.pools.get(setting.pool_step)
        in_time = facts is None or facts.neighbours is None or facts.neighbours >= LEAST_NEIGHBOURS
        blocks += _one(setting, audit, album, in_time=in_time)
    if not blocks:
        return []
    about = (
        "Means over seeds, without the initial set, which is the same for all. Views: percent of "
        "the chosen images that show what no image chosen before shows from nearby in time. "
        "Near-copies: percent of a batch with a neighbour in time in the same batch. Sequences: "
        "percent of the pool's. They are left out where a pool's neighbours are not alike, so that "
        "its order is no time."
    )
    return [Heading("What was chosen"), Paragraph(about), *blocks]


def _one(setting: Setting, audit: SelectionAudit, album: Album, *, in_time: bool) -> list[Block]:
    where = f"{text(setting.dataset)}, budget {text(setting.budget)}"
    name = f"{setting.dataset}_{setting.budget}"
    names = [text(row.name) + (" (dropout)" if row.mc_dropout else "") for row in audit.rows]
    blocks: list[Block] = [Heading(f"Chosen: {where}", 3)]
    if in_time:
        blocks += _views(name, where, dict(zip(names, audit.rows, strict=True)), album)
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
    return blocks if len(blocks) > 1 else []


def _views(name: str, where: str, chosen: dict[str, Chosen], album: Album) -> list[Block]:
    """New views and near-copies in time order, by method."""
    rows = [
        (method, *(number(v, 0) for v in (row.images, row.views, row.near_copies, row.sequences)))
        for method, row in chosen.items()
    ]
    header = ("Method", "Images", "Views (%)", "Near-copies (%)", "Sequences (%)")
    return [
        table(header, rows, caption=f"What was chosen: {where}"),
        album.figure(
            f"{name}_views",
            f"Views and near-copies: {where}",
            "Of the images that each method chose. Little redundancy is bought where blue is long "
            "and orange short.",
            lambda: draw_views({n: (row.views, row.near_copies) for n, row in chosen.items()}),
        ),
    ]


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
