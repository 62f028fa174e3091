"""BADGE against a plain NumPy reference."""

import numpy as np
import pytest
import torch
from alspec_badge import Badge, diverse_gradients

from alspec.acquisition import base
from alspec.acquisition.conformance import broken_duties
from alspec.acquisition.synthetic import SyntheticOutputs


def reference(gradients, n, rng):
    chosen = [max(range(len(gradients)), key=lambda row: (gradients[row] ** 2).sum())]
    for draw in rng.random(n - 1):
        weights = [
            0.0
            if row in chosen
            else min(((point - gradients[other]) ** 2).sum() for other in chosen)
            for row, point in enumerate(gradients)
        ]
        total = 0.0
        for row, weight in enumerate(weights):
            total += weight
            if total > draw * sum(weights):
                chosen.append(row)
                break
    return chosen


@pytest.mark.parametrize("seed", range(5))
def test_it_chooses_what_the_reference_chooses(seed):
    gradients = np.random.default_rng(seed).normal(size=(20, 6))
    rows = diverse_gradients(torch.from_numpy(gradients), 8, np.random.default_rng(seed))
    assert rows == reference(gradients, 8, np.random.default_rng(seed))


def test_the_largest_gradient_comes_first_and_copies_last():
    gradients = torch.tensor([[1.0, 0], [9, 0], [9, 0], [0, 5]])
    rows = diverse_gradients(gradients, 4, np.random.default_rng(0))
    assert rows[0] == 1
    assert rows[-1] == 2


def test_a_certain_image_has_a_small_gradient():
    outputs = SyntheticOutputs(frozenset({base.Need.GRADIENTS}))
    norms = Badge(base.Params()).reduce(outputs).norm(dim=1)
    assert norms[1] < 1e-6  # one class far above the rest
    assert norms[0] > 0.1


def test_it_keeps_the_contract():
    assert broken_duties(Badge) == []
