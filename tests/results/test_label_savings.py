"""Labels saved until Random's final mIoU, on curves whose answer is plain."""

import pytest

from alspec.plan.dag import Setting
from alspec.plan.step import StepKey
from alspec.results.label_savings import labels_saved
from alspec.results.standings import Comparison, Entry


def entry(name, *curves):
    """One curve a seed, a mIoU a cycle."""
    by_cycle = {
        k: {seed: curve[k] for seed, curve in enumerate(curves) if len(curve) > k}
        for k in range(max(map(len, curves)))
    }
    seeds = tuple(range(len(curves)))
    return Entry(name, "any", False, name == "random", seeds, by_cycle, by_cycle.get(2, {}), {})


def saved(*entries):
    setting = Setting("toy", "all", "10-10", StepKey("0" * 64), 100, (10, 20, 40))
    return list(labels_saved(Comparison(setting, False, (10, 20, 40), 40, None, entries, ())))


def test_labels_are_read_off_straight_lines():
    (found,) = saved(entry("random", [50, 55, 60]), entry("entropy", [50, 58, 62]))
    assert found.by_seed == {0: pytest.approx(40 - (20 + 20 * 2 / 4))}
    assert found.share.mean == pytest.approx(25.0)


def test_a_seed_that_never_gets_there_leaves_no_mean():
    (found,) = saved(
        entry("random", [50, 55, 60], [50, 55, 60]), entry("entropy", [50, 58, 62], [50, 51, 52])
    )
    assert found.not_reached == (1,)
    assert found.share.seeds == 0


def test_an_unfinished_seed_is_neither_reached_nor_missed():
    (found,) = saved(
        entry("random", [50, 55, 60], [50, 55, 60]), entry("entropy", [50, 58, 62], [50, 51])
    )
    assert found.not_reached == ()
    assert list(found.by_seed) == [0]


def test_nothing_is_saved_by_who_arrives_at_the_end():
    (found,) = saved(entry("random", [50, 55, 60]), entry("entropy", [50, 52, 60]))
    assert found.by_seed == {0: pytest.approx(0)}
