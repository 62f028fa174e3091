"""The numbers of the paper's tables, row by row."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

# Table 5 prints twice eq. (1): its full row, 66.65 % over the step from 1,000 to 3,000 of 40,135
# images, gives 3.32 and not 6.64.
_TABLE_WITH_DOUBLE_AUC = 5


@dataclass(frozen=True, slots=True)
class PaperRow:
    """One row of one table.

    Attributes:
        table: its number in the paper.
        dataset: as in `guide.yaml`.
        budget: `10-10`, `5-5`, `2-2` or `3k`.
        method: as in a study's spec; `full` is trained on all labels.
        family: random, uniform, single, batch or full.
        ssl: trained with s4GAN.
        mc_dropout: the architecture with dropout layers.
        miou_at: percent labelled where mIoU is read; None where the table does not say.
        miou: mean over 3 seeds, in percent.
        auc_at: percent labelled where the area ends.
        auc_printed: AUC@B as the paper prints it; None where it prints none.
    """

    table: int
    dataset: str
    budget: str
    method: str
    family: str
    ssl: bool
    mc_dropout: bool
    miou_at: float | None
    miou: float
    auc_at: float
    auc_printed: float | None

    @property
    def auc_factor(self) -> int:
        """What the table prints over eq. (1): 2 in Table 5, else 1."""
        return 2 if self.table == _TABLE_WITH_DOUBLE_AUC else 1

    @property
    def auc(self) -> float | None:
        """AUC@B by eq. (1)."""
        return None if self.auc_printed is None else self.auc_printed / self.auc_factor


@cache
def paper_rows() -> tuple[PaperRow, ...]:
    """All rows in the order of the paper's tables.

    >>> len(paper_rows())
    135
    """
    text = files("alspec.recommend").joinpath("paper.csv").read_text(encoding="utf-8")
    return tuple(
        PaperRow(
            table=int(row["table"]),
            dataset=row["dataset"],
            budget=row["budget"],
            method=row["method"],
            family=row["family"],
            ssl=row["ssl"] == "1",
            mc_dropout=row["mc_dropout"] == "1",
            miou_at=_number(row["miou_at"]),
            miou=float(row["miou"]),
            auc_at=float(row["auc_at"]),
            auc_printed=_number(row["auc"]),
        )
        for row in csv.DictReader(text.splitlines())
    )


def _number(text: str) -> float | None:
    return float(text) if text else None
