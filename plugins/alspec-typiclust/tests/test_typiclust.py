"""TypiClust on points whose clusters and typical members are plain to see."""

import numpy as np
import pytest
import torch
from alspec_typiclust import (
    Typiclust,
    TypiclustParams,
    k_means,
    most_typical,
    typical_rows,
    unit_length,
)

from alspec.acquisition.conformance import broken_duties


def blobs(sizes, seed=0, spread=0.02):
    """Points around far directions; the first of each blob is its centre."""
    rng = np.random.default_rng(seed)
    axes = np.eye(len(sizes))
    parts = [
        np.concatenate([axis[None], axis + spread * rng.normal(size=(size - 1, len(sizes)))])
        for axis, size in zip(axes, sizes, strict=True)
    ]
    return unit_length(torch.from_numpy(np.concatenate(parts)))


@pytest.mark.parametrize("seed", range(3))
def test_k_means_finds_blobs(seed):
    clusters = k_means(blobs([10, 20, 30]), 3, np.random.default_rng(seed))
    assert len(set(clusters[:10])) == len(set(clusters[10:30])) == len(set(clusters[30:])) == 1
    assert len(set(clusters)) == 3


def test_the_most_typical_is_a_plain_loops():
    points = torch.from_numpy(np.random.default_rng(1).normal(size=(30, 4)))
    means = [sorted((points - point).norm(dim=1).tolist())[1:6] for point in points]
    assert most_typical(points, 5) == min(range(30), key=lambda row: sum(means[row]))
    assert most_typical(points[:1], 5) == 0


def test_the_largest_clusters_without_a_label_come_first():
    sizes = [10, 20, 30]
    points = blobs(sizes)
    labelled = points[30:31]  # of the largest blob
    rows = typical_rows(
        torch.cat([points, labelled]), 1, 2, TypiclustParams(), np.random.default_rng(0)
    )
    assert 10 <= rows[0] < 30
    assert rows[1] < 10


def test_small_clusters_come_last():
    points = blobs([3, 20, 30])
    rows = typical_rows(points, 0, 3, TypiclustParams(), np.random.default_rng(0))
    assert [sum(row >= edge for edge in (3, 23)) for row in rows] == [2, 1, 0]


def test_all_can_be_chosen():
    points = blobs([4, 4])
    rows = typical_rows(points, 0, 8, TypiclustParams(most_clusters=2), np.random.default_rng(0))
    assert sorted(rows) == list(range(8))


def test_it_keeps_the_contract():
    assert broken_duties(Typiclust) == []
