"""The training curves of finished train steps: epochs.csv, a list of numbers a column."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from alspec.plan.kinds.train import EPOCHS
from alspec.store.store import Store

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


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan
