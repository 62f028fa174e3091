"""k-means++ sampling against a plain NumPy reference and its known probabilities."""

import numpy as np
import pytest
import torch
from alspec_kmeanspp import Kmeanspp, d2_sampling

from alspec.acquisition.conformance import broken_duties


def reference(features, centres, n, rng):
    draws, chosen = rng.random(n), []
    for draw in draws:
        weights = []
        for row, point in enumerate(features):
            known = [*centres, *(features[other] for other in chosen)]
            nearest = min((((point - other) ** 2).sum() for other in known), default=np.inf)
            weights.append(0.0 if row in chosen else nearest)
        if not 0 < sum(weights) < np.inf:
            weights = [float(row not in chosen) for row in range(len(features))]
        total = 0.0
        for row, weight in enumerate(weights):
            total += weight
            if total > draw * sum(weights):
                chosen.append(row)
                break
    return chosen


@pytest.mark.parametrize("labelled", [0, 1, 5])
@pytest.mark.parametrize("seed", range(5))
def test_it_draws_what_the_reference_draws(labelled, seed):
    rng = np.random.default_rng(seed)
    features, centres = rng.normal(size=(15, 3)), rng.normal(size=(labelled, 3))
    rows = d2_sampling(
        torch.from_numpy(features), torch.from_numpy(centres), 10, np.random.default_rng(seed)
    )
    assert rows == reference(features, centres, 10, np.random.default_rng(seed))


def test_a_row_is_drawn_as_often_as_its_squared_distance_says():
    features = torch.tensor([[0.0], [1.0], [2.0]])
    drawn = [
        d2_sampling(features, torch.tensor([[0.0]]), 1, np.random.default_rng(seed))[0]
        for seed in range(2000)
    ]
    share = np.bincount(drawn, minlength=3) / 2000
    np.testing.assert_allclose(share, [0, 0.2, 0.8], atol=0.03)


def test_copies_of_what_is_labelled_come_last():
    features = torch.tensor([[0.0], [0.0], [3.0], [5.0]])
    rows = d2_sampling(features, torch.tensor([[0.0]]), 4, np.random.default_rng(0))
    assert set(rows[:2]) == {2, 3}
    assert sorted(rows) == [0, 1, 2, 3]


def test_it_keeps_the_contract():
    assert broken_duties(Kmeanspp) == []
