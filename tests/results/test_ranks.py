"""Win matrix and ranks against scipy and against counts made by hand."""

import numpy as np
import pytest
from scipy import stats

from alspec.plan.dag import Setting
from alspec.plan.step import StepKey
from alspec.results.ranks import mean_ranks, win_matrix
from alspec.results.standings import Comparison, Entry


def compared(dataset, **values):
    entries = tuple(
        Entry(name, "any", False, name == "random", (0, 1, 2), {}, dict(enumerate(miou)), {})
        for name, miou in values.items()
    )
    setting = Setting(dataset, "all", "10-10", StepKey("0" * 64), 100, (10, 20, 30))
    return Comparison(setting, False, (10.0, 20.0, 30.0), 30.0, None, entries, ())


def test_wins_are_counted_row_against_column():
    clear = compared("a", random=(60, 61, 62), coreset=(64, 65, 66), entropy=(60.5, 61.1, 62.2))
    other = compared("b", random=(50, 51, 52), coreset=(54, 55.1, 56))
    found = win_matrix([clear, other])
    rank = {name: k for k, name in enumerate(found.names)}
    assert found.wins[rank["coreset"]][rank["random"]] == 2
    assert found.wins[rank["random"]][rank["coreset"]] == 0
    assert found.wins[rank["coreset"]][rank["entropy"]] == 1
    assert found.settings[rank["coreset"]][rank["entropy"]] == 1
    assert found.settings[rank["random"]][rank["coreset"]] == 2
    assert all(found.wins[k][k] == 0 for k in rank.values())


def test_one_setting_has_no_matrix():
    assert win_matrix([compared("a", random=(1, 2, 3), entropy=(1, 2, 3))]) is None


def test_four_datasets_have_no_ranks():
    assert mean_ranks([compared(str(k), random=(1,), entropy=(2,)) for k in range(4)]) is None


def test_ranks_and_friedman_are_scipys():
    rng = np.random.default_rng(0)
    names = ("random", "entropy", "coreset", "equal")
    table = rng.normal([60, 61, 62, 60], 1, (7, 4)).round(1)
    made = [
        compared(str(k), **{n: (v,) for n, v in zip(names, row, strict=True)})
        for k, row in enumerate(table)
    ]
    found = mean_ranks(made)
    ranks = stats.rankdata(-table, axis=1).mean(axis=0)
    assert found.mean == pytest.approx(dict(zip(names, ranks, strict=True)))
    assert list(found.mean.values()) == sorted(found.mean.values())
    assert found.p == pytest.approx(stats.friedmanchisquare(*table.T).pvalue)
    assert found.datasets == 7


def test_the_critical_difference_is_that_of_nemenyis_table():
    """Demšar (2006), table 5: q = 2.569 for four methods at 5 %."""
    made = [
        compared(str(k), random=(1,), entropy=(2,), coreset=(3,), equal=(4 + k,)) for k in range(6)
    ]
    assert mean_ranks(made).critical == pytest.approx(2.569 * np.sqrt(4 * 5 / 36), rel=1e-3)


@pytest.mark.parametrize("methods", [2, 3, 5, 10])
def test_the_critical_difference_is_scipys(methods):
    names = [f"m{k}" for k in range(methods)]
    made = [compared(str(d), **{n: (float(k),) for k, n in enumerate(names)}) for d in range(5)]
    q = stats.studentized_range.ppf(0.95, methods, np.inf) / np.sqrt(2)
    expected = q * np.sqrt(methods * (methods + 1) / 30)
    assert mean_ranks(made).critical == pytest.approx(expected, rel=1e-4)


def test_settings_of_one_dataset_count_once():
    made = [compared(str(k % 5), random=(1.0 + k,), entropy=(2.0 + k,)) for k in range(10)]
    assert mean_ranks(made).datasets == 5
