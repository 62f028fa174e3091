"""Intervals, outcomes and the sign-flip test against scipy and against their own promises."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from alspec.results.intervals import (
    MARGIN,
    Outcome,
    difference,
    sign_flip_p,
    t_interval,
)

DRAWS = 10_000


@pytest.mark.parametrize("seeds", range(3, 11))
def test_the_interval_covers_the_mean_in_95_of_100_draws(seeds):
    draws = np.random.default_rng(seeds).normal(61.3, 0.8, (DRAWS, seeds))
    found = [t_interval(row) for row in draws.tolist()]
    covered = np.mean([each.low <= 61.3 <= each.high for each in found])
    assert 0.94 <= covered <= 0.96


@given(st.lists(st.floats(-50, 50), min_size=3, max_size=12))
def test_the_interval_is_scipys(values):
    found = t_interval(values)
    if len(set(values)) > 1 and np.std(values) > 1e-9:
        low, high = stats.t.interval(
            0.95, len(values) - 1, loc=np.mean(values), scale=stats.sem(values)
        )
        assert (found.low, found.high) == pytest.approx((low, high))


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0]])
def test_fewer_than_three_seeds_have_no_interval(values):
    found = t_interval(values)
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert not found.known
    assert math.isnan(found.mean) == (not values)


def by_seed(values):
    return dict(enumerate(values))


@pytest.mark.parametrize("methods", [1, 5, 10])
@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_no_difference_is_called_a_win_in_at_most_5_of_100_studies(seeds, methods):
    """Any of the methods against one Random, differences of one spread, none in truth."""
    rng = np.random.default_rng(seeds * methods)
    studies, wins, losses = 4_000 // methods, 0, 0
    for _ in range(studies):
        random = by_seed(rng.normal(60, 1.5, seeds).tolist())
        outcomes = [
            difference(
                by_seed(rng.normal(60, 1.5, seeds).tolist()), random, comparisons=methods
            ).outcome
            for _ in range(methods)
        ]
        wins += Outcome.WIN in outcomes
        losses += Outcome.LOSS in outcomes
    assert wins / studies <= 0.05
    assert losses / studies <= 0.05


@given(
    st.lists(st.floats(40, 70), min_size=3, max_size=8),
    st.lists(st.floats(40, 70), min_size=3, max_size=8),
    st.integers(1, 10),
)
def test_what_one_wins_the_other_loses(first, second, comparisons):
    one = difference(by_seed(first), by_seed(second), comparisons=comparisons)
    other = difference(by_seed(second), by_seed(first), comparisons=comparisons)
    turned = {Outcome.WIN: Outcome.LOSS, Outcome.LOSS: Outcome.WIN}
    assert other.outcome is turned.get(one.outcome, one.outcome)
    assert one.seeds_to_decide == other.seeds_to_decide


def test_outcomes_follow_margin_and_interval_together():
    random = by_seed([60.0, 61.0, 62.0])

    def outcome(*apart):
        return difference({k: random[k] + d for k, d in enumerate(apart)}, random).outcome

    assert outcome(2.0, 2.1, 2.2) is Outcome.WIN
    assert outcome(-2.0, -2.1, -2.2) is Outcome.LOSS
    assert outcome(0.05, 0.0, -0.05) is Outcome.TIE
    assert outcome(0.2, 0.21, 0.22) is Outcome.TIE  # above 0 for sure, and too small to matter
    assert outcome(2.0, -1.0, 3.0) is Outcome.UNDECIDED
    assert outcome(0.4, 0.45, 0.5) is Outcome.UNDECIDED  # above 0, its end beyond the margin


def test_only_shared_seeds_are_paired():
    found = difference({0: 3.0, 1: 4.0, 5: 9.0}, {1: 1.0, 5: 2.0, 7: 0.0})
    assert found.by_seed == {1: 3.0, 5: 7.0}
    assert found.points == 5.0
    assert found.outcome is Outcome.UNDECIDED


@given(
    st.lists(st.floats(-3, 3).map(lambda x: round(x, 2)), min_size=2, max_size=6),
    st.integers(1, 10),
)
def test_the_named_number_of_seeds_decides_and_one_less_does_not(apart, comparisons):
    zero = dict.fromkeys(range(len(apart)), 0.0)
    found = difference(by_seed(apart), zero, comparisons=comparisons)
    if found.seeds_to_decide is None:
        return
    mean, spread = abs(np.mean(apart)), np.std(apart, ddof=1)

    def decides(n):
        half = stats.t.ppf(1 - 0.025 / comparisons, n - 1) * spread / math.sqrt(n)
        return half < mean if mean >= MARGIN else half < MARGIN - mean

    assert found.seeds_to_decide > len(apart)
    assert decides(found.seeds_to_decide)
    least = max(3, len(apart) + 1)
    assert found.seeds_to_decide == least or not decides(found.seeds_to_decide - 1)


@pytest.mark.parametrize(("comparisons", "least"), [(1, 6), (2, 7), (10, 9)])
def test_sign_flips_are_tested_only_where_they_can_pass(comparisons, least):
    assert sign_flip_p([1.0] * (least - 1), comparisons) is None
    assert sign_flip_p([1.0] * least, comparisons) == 2 / 2**least


@given(st.lists(st.floats(-5, 5).map(lambda x: round(x, 1)), min_size=6, max_size=9))
def test_sign_flips_are_enumerated_exactly(values):
    patterns = itertools.product([1, -1], repeat=len(values))
    reached = abs(sum(values))
    as_far = [abs(sum(s * v for s, v in zip(p, values, strict=True))) for p in patterns]
    expected = np.mean([each >= reached - 1e-9 for each in as_far])
    assert sign_flip_p(values) == pytest.approx(expected)
