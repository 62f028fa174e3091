"""ProbCover against a plain NumPy greedy search."""

import numpy as np
import pytest
import torch
from alspec_probcover import Probcover, greedy_cover, purest_radius, unit_length

from alspec.acquisition.conformance import broken_duties


def reference(within, labelled, n):
    count = len(within) - labelled
    covered = {p for row in range(count, len(within)) for p in np.flatnonzero(within[row])}
    chosen = []
    for _ in range(n):
        best, gain = -1, -1
        for row in range(count):
            fresh = set(np.flatnonzero(within[row])) - covered
            if row not in chosen and len(fresh) > gain:
                best, gain = row, len(fresh)
        chosen.append(best)
        covered |= set(np.flatnonzero(within[best]))
    return chosen


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("labelled", [0, 3])
def test_it_covers_as_the_reference_does(seed, labelled):
    points = np.random.default_rng(seed).normal(size=(25, 2))
    within = np.linalg.norm(points[:, None] - points[None], axis=2) <= 0.7
    rows = greedy_cover(torch.from_numpy(within.copy()), labelled, 12)
    assert rows == reference(within, labelled, 12)


def test_the_radius_stays_inside_clusters():
    rng = np.random.default_rng(0)
    blobs = np.repeat(np.eye(3), 30, axis=0) + 0.02 * rng.normal(size=(90, 3))
    points = unit_length(torch.from_numpy(blobs))
    radius = purest_radius(points, 3, 0.95, np.random.default_rng(3))
    assert 0.2 < radius < np.sqrt(2)


def test_it_keeps_the_contract():
    assert broken_duties(Probcover) == []
