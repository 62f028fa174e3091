"""PowerBALD's draws against the probabilities that define them."""

import numpy as np
import pytest
from alspec_powerbald import Powerbald, PowerbaldParams, power_ranking

from alspec.acquisition.bald import Bald, BaldParams
from alspec.acquisition.base import Need
from alspec.acquisition.conformance import broken_duties
from alspec.acquisition.synthetic import SyntheticOutputs


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
def test_an_image_comes_first_as_often_as_its_score_to_the_power_says(beta):
    scores = np.array([0.1, 0.2, 0.4])
    firsts = [power_ranking(scores, beta, np.random.default_rng(s))[0] for s in range(4000)]
    expected = scores**beta / (scores**beta).sum()
    np.testing.assert_allclose(np.bincount(firsts, minlength=3) / 4000, expected, atol=0.03)


def test_the_second_is_drawn_among_the_rest():
    scores = np.array([0.1, 0.2, 0.4])
    orders = [tuple(power_ranking(scores, 1.0, np.random.default_rng(s))) for s in range(4000)]
    share = sum(order[:2] == (2, 1) for order in orders) / 4000
    assert share == pytest.approx(0.4 / 0.7 * 0.2 / 0.3, abs=0.03)


def test_a_large_power_is_bald_and_nothing_scored_comes_last():
    scores = np.array([0.0, 0.3, 0.1, 0.2])
    assert power_ranking(scores, 1e6, np.random.default_rng(0)).tolist() == [1, 3, 2, 0]


def test_its_scores_are_balds():
    outputs = [SyntheticOutputs(frozenset({Need.PASSES}), 4) for _ in range(2)]
    reduced = Powerbald(PowerbaldParams(passes=4)).reduce(outputs[0])
    assert reduced.equal(Bald(BaldParams(passes=4)).score(outputs[1]))


def test_it_keeps_the_contract():
    assert broken_duties(Powerbald) == []
