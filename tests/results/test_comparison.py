from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from alspec.results.comparison import compare

SAME = {"dataset": "d", "pool": "all", "budget": "10-10", "ssl": False, "mc_dropout": False}


def table(mious, method="entropy"):
    return pd.DataFrame(
        [
            {**SAME, "method": method, "seed": s, "cycle": c, "labelled_percent": 10.0 * (c + 1),
             "miou": miou}
            for (s, c), miou in mious.items()
        ]
    )  # fmt: skip


def test_means_are_over_the_seeds_that_both_have():
    first = table({(0, 0): 40.0, (1, 0): 50.0, (2, 0): 90.0, (0, 1): 60.0})
    second = table({(0, 0): 43.0, (1, 0): 51.0, (0, 1): 60.0})
    found = compare(first, second)
    assert found["labelled_percent"].tolist() == [10, 20]
    assert found["seeds"].tolist() == [2, 1]
    assert found["first"].tolist() == [45, 60]
    assert found["second"].tolist() == [47, 60]
    assert found["difference"].tolist() == [2, 0]
    assert found["sd"][0] == pytest.approx(np.std([3, 1], ddof=1))
    assert np.isnan(found["sd"][1])
    assert found["low"].isna().all()


def test_an_interval_takes_three_seeds():
    first = table({(seed, 0): 40.0 for seed in range(3)})
    found = compare(first, table({(0, 0): 41.0, (1, 0): 42.0, (2, 0): 43.0}))
    half = 4.302653 / np.sqrt(3)  # t at 0.975 with 2 degrees of freedom; sd is 1
    assert found["low"][0] == pytest.approx(2 - half, abs=1e-4)
    assert found["high"][0] == pytest.approx(2 + half, abs=1e-4)


def test_what_one_study_lacks_or_could_not_measure_is_left_out():
    first = pd.concat([table({(0, 0): 40.0}), table({(0, 0): 41.0}, "coreset")])
    second = pd.concat([table({(0, 0): 42.0}), table({(0, 0): float("nan")}, "coreset")])
    found = compare(first, second)
    assert found["method"].tolist() == ["entropy"]
    assert compare(first, table({(0, 0): 1.0}, "equal")).empty
