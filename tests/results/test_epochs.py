"""training.csv: a row an epoch of each labelled set's training."""

from __future__ import annotations

import math

import pandas as pd

from alspec.results.epochs import IDENTITY, curve_table

OF = {"dataset": "=d", "pool": "p", "budget": "b", "mc_dropout": False, "seed": 0, "cycle": 0}


def test_a_row_an_epoch_with_what_each_training_has():
    sets = pd.DataFrame(
        [
            {**OF, "method": "entropy", "ssl": False, "train_key": "k1"},
            {**OF, "method": "coreset", "ssl": True, "train_key": "k2"},
            {**OF, "method": "random", "ssl": False, "train_key": "gone"},
        ]
    )
    epochs = {
        "k1": {"epoch": [1.0, 2.0], "loss": [0.5, 0.25], "lr": [1e-3, 1e-5]},
        "k2": {"epoch": [1.0], "loss": [math.nan], "accepted": [0.125]},
    }
    header, rows = curve_table(sets, epochs)
    assert header == (*IDENTITY, "epoch", "lr", "accepted", "loss")
    whose = ("'=d", "p", "b", "entropy", "0", "0", "0", "0", "k1")
    assert [tuple(row) for row in rows] == [
        (*whose, "1", "0.001", "", "0.5"),
        (*whose, "2", "1e-05", "", "0.25"),
        ("'=d", "p", "b", "coreset", "1", "0", "0", "0", "k2", "1", "", "0.125", ""),
    ]


def test_without_a_training_there_is_a_header():
    columns = [*OF, "method", "ssl", "train_key"]
    header, rows = curve_table(pd.DataFrame(columns=columns), {})
    assert header == (*IDENTITY, "epoch", "lr")
    assert rows == []
