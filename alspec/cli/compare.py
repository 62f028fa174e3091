"""The command `compare`: two studies side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alspec import api
from alspec.cli import console
from alspec.errors import InputError
from alspec.results.comparison import compare as compared

if TYPE_CHECKING:
    from pandas import DataFrame


def compare(first: Path, second: Path, work_dir: Path, *, as_json: bool) -> None:
    """Print the mIoU of what both have finished, and the difference.

    Raises:
        InputError: they have nothing in common that is finished.
    """
    found = compared(_results(first, work_dir), _results(second, work_dir))
    if found.empty:
        what = (
            "have no finished labelled set of one dataset, pool, budget, method and seed in common"
        )
        raise InputError.at(f"{first} and {second}", what)
    records = found.astype(object).where(found.notna(), None).to_dict("records")
    if as_json:
        console.say_json({"first": str(first), "second": str(second), "rows": records})
        return
    header = ("method", "labelled", "seeds", "first", "second", "difference", "95 % interval")
    tables: dict[str, list[tuple[object, ...]]] = {}
    for row in records:
        cells = {str(key): value for key, value in row.items()}
        where = f"{cells['dataset']}, budget {cells['budget']}"
        tables.setdefault(where, []).append(_cells(cells))
    for where, rows in tables.items():
        title = f"{where}: mIoU of {first} and {second}, means over the seeds that both have"
        console.say_table(title, header, rows)


def _cells(row: Mapping[str, Any]) -> tuple[object, ...]:
    arm = (" SSL" if row["ssl"] else "") + (" dropout" if row["mc_dropout"] else "")
    known = row["low"] is not None
    interval = f"{row['low']:+.2f} to {row['high']:+.2f}" if known else "–"
    return (
        f"{row['method']}{arm}",
        f"{row['labelled_percent']:g} %",
        row["seeds"],
        f"{row['first']:.2f}",
        f"{row['second']:.2f}",
        f"{row['difference']:+.2f}",
        interval,
    )


def _results(study: Path, work_dir: Path) -> DataFrame:
    """The results of a study's folder, or of a spec's study in the work directory."""
    if not study.is_dir():
        study = work_dir / api.load_study(study).study
    return api.results(study).results
