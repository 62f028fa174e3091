"""The training curves of finished train steps, and the table that a study publishes of them."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from alspec.plan.kinds.train import EPOCHS
from alspec.store.store import Store
from alspec.system.printable import table_cell

if TYPE_CHECKING:
    from pandas import DataFrame

IDENTITY = (
    "dataset", "pool", "budget", "method", "ssl", "mc_dropout", "seed", "cycle", "train_key",
)  # fmt: skip
"""The columns of results.csv that say whose training a row is of."""

EpochTable: TypeAlias = Mapping[str, Sequence[float]]
"""A column's values by its name, one an epoch; NaN for a cell that is no number."""


def read_epochs(store: Store, keys: Iterable[str]) -> dict[str, EpochTable]:
    """The curves of every train step of these that is done and has them, by its key.

    Raises:
        StoreError: an artifact is corrupt.
    """
    found: dict[str, EpochTable] = {}
    for key in dict.fromkeys(keys):
        if store.is_done(key) and EPOCHS in store.artifacts(key):
            header, *rows = csv.reader(store.read_lines(key, EPOCHS))
            columns = list(zip(*rows, strict=True)) or [()] * len(header)
            found[key] = {n: [_number(v) for v in c] for n, c in zip(header, columns, strict=True)}
    return found


def curve_table(
    sets: DataFrame, epochs: Mapping[str, EpochTable]
) -> tuple[Sequence[str], list[Sequence[str]]]:
    """Header and rows of training.csv: a row an epoch of each labelled set's training.

    Labelled sets that share a training repeat its rows; see `train_key`.

    Args:
        sets: rows of results.csv.
        epochs: by train key.
    """
    measured = dict.fromkeys(column for table in epochs.values() for column in table)
    names = sorted(measured.keys() - {"epoch", "lr"})
    columns = ("epoch", "lr", *names)
    rows: list[Sequence[str]] = []
    for identity in sets[list(IDENTITY)].itertuples(index=False, name=None):
        table = epochs.get(identity[-1], {})
        whose = [_cell(value) for value in identity]
        for row in range(len(table.get("epoch", ()))):
            cells = [table[column][row] if column in table else math.nan for column in columns]
            rows.append((*whose, *map(_cell, cells)))
    return (*IDENTITY, *columns), rows


def _cell(value: str | float) -> str:
    """As results.csv writes it, numbers as epochs.csv does; NaN is empty."""
    if isinstance(value, str):
        return table_cell(value)
    return "" if math.isnan(value) else f"{value:.6g}"


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan
