"""What the paper's own rows say about a cell of the guide."""

from __future__ import annotations

from dataclasses import dataclass

from alspec.recommend.paper import PaperRow, paper_rows
from alspec.recommend.table6 import Cell, Guide


@dataclass(frozen=True, slots=True)
class Evidence:
    """One setting of the paper: the advised method beside Random and the best.

    Attributes:
        advised: the best row of the advised family and arm.
        random: Random trained without SSL, whatever the arm.
        best: the best row of all methods without dropout; where SSL may be used, of both arms.
        outside: the best row of what the guide does not rank (a candidate filter before a
            method), where it beats `best`; else None.
        rivals: all rows that `best` was chosen among.
        rows: all of the setting's rows, arms with dropout layers included.
    """

    advised: PaperRow
    random: PaperRow
    best: PaperRow
    outside: PaperRow | None
    rivals: tuple[PaperRow, ...]
    rows: tuple[PaperRow, ...]

    @property
    def regret(self) -> float:
        """MIoU points of the advised method below the best, 0 or more."""
        return round(self.best.miou - self.advised.miou, 2)

    @property
    def gain(self) -> float:
        """MIoU points of the advised method above Random."""
        return round(self.advised.miou - self.random.miou, 2)

    def to_json(self) -> dict[str, object]:
        """The row of `recommend --json`; `auc` follows eq. (1)."""
        return {
            "table": self.advised.table,
            "dataset": self.advised.dataset,
            "budget": self.advised.budget,
            "method": self.advised.method,
            "miou": self.advised.miou,
            "auc": self.advised.auc,
            "random_miou": self.random.miou,
            "best_method": self.best.method,
            "best_miou": self.best.miou,
            "regret": self.regret,
        }


def evidence_of(cell: Cell, guide: Guide) -> tuple[Evidence, ...]:
    """The paper's settings that fall into a cell, in the order of its tables."""
    settings: dict[tuple[int, str, str], list[PaperRow]] = {}
    for row in paper_rows():
        level = guide.datasets[row.dataset].redundancy, guide.levels[row.budget]
        if level == (cell.redundancy, cell.budget):
            settings.setdefault((row.table, row.dataset, row.budget), []).append(row)
    return tuple(_evidence(cell, guide, rows) for rows in settings.values())


def _evidence(cell: Cell, guide: Guide, all_rows: list[PaperRow]) -> Evidence:
    rows = [row for row in all_rows if not row.mc_dropout]
    ranked = [method for family in guide.families.values() for method in family.methods]
    allowed = [row for row in rows if cell.ssl or not row.ssl]
    rivals = [row for row in allowed if row.method in ranked]
    others = [row for row in allowed if row.method not in ranked and row.family != "full"]
    advised = max(
        (
            row
            for row in rivals
            if row.method in guide.families[cell.family].methods and row.ssl == cell.use_ssl
        ),
        key=lambda row: row.miou,
    )
    best = max(rivals, key=lambda row: (row.miou, row is advised))
    outside = max(others, key=lambda row: row.miou, default=best)
    return Evidence(
        advised=advised,
        random=next(row for row in rows if row.method == "random" and not row.ssl),
        best=best,
        outside=outside if outside.miou > best.miou else None,
        rivals=tuple(rivals),
        rows=tuple(all_rows),
    )


def summary_of(evidence: tuple[Evidence, ...]) -> str:
    """One sentence on the regret and the gain over Random, from the lowest to the highest."""
    settings = "1 setting" if len(evidence) == 1 else f"{len(evidence)} settings"
    regret = _span([setting.regret for setting in evidence])
    gain = _span([setting.gain for setting in evidence])
    below = "is the best method"
    if regret != "0.00":
        below = f"stays {regret} mIoU points below the best method"
    return f"In {settings} it {below} and gains {gain} mIoU points over Random without SSL."


def _span(points: list[float]) -> str:
    lowest, highest = f"{min(points):.2f}", f"{max(points):.2f}"
    return lowest if lowest == highest else f"{lowest} to {highest}"
