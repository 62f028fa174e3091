"""IoU by class: a map to look at, and its numbers to look up."""

from __future__ import annotations

from alspec.report.album import Album
from alspec.report.document import Block, Fold, Heading, Paragraph, table, text
from alspec.report.figures.grids import draw_grid
from alspec.report.findings import Findings
from alspec.report.phrases import UNKNOWN, number, percent
from alspec.report.setting_results import file_name, title_of
from alspec.results.standings import Comparison, class_iou


def classes_section(findings: Findings, album: Album) -> list[Block]:
    """A map and a table a comparison; empty where nothing is finished."""
    blocks = [block for c in findings.compared for block in _one(findings, c, album)]
    if not blocks:
        return []
    about = (
        f"Percent, mean over the finished seeds. {UNKNOWN}: no result, or the class is neither in "
        "the validation images nor predicted."
    )
    return [Heading("IoU by class"), Paragraph(about), *blocks]


def _one(findings: Findings, comparison: Comparison, album: Album) -> list[Block]:
    cycle = comparison.last_common_cycle
    if cycle is None:
        return []
    columns = [(entry, cycle) for entry in comparison.methods if cycle in entry.curve]
    columns += [(entry, 0) for entry in comparison.full if entry.curve]
    found = [class_iou(findings.classes_of(comparison, entry), at) for entry, at in columns]
    names = [text(name) for name in found[0][0]]
    methods = [text(entry.name) for entry, _ in columns]
    values = [[ious[rank] for _, ious in found] for rank in range(len(names))]
    rows = [(name, *(number(v, 1) for v in line)) for name, line in zip(names, values, strict=True)]
    at = percent(comparison.budget_percent[cycle])
    where = f"{title_of(comparison)}: classes at {at} % labelled"
    return [
        Heading(where, 3),
        album.figure(
            file_name(comparison, "classes"),
            f"IoU by class and method: {where}",
            "Darker: higher IoU. Grey: no value.",
            lambda: draw_grid(names, methods, values, "IoU (%)"),
        ),
        Fold("The numbers", (table(("Class", *methods), rows, caption=where),)),
    ]
