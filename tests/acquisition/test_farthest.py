"""k_center picks what float64 brute force picks, whatever the features are like."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from alspec.acquisition import distances, farthest
from alspec.acquisition.coreset import k_center


def brute_force(features, centres, n):
    """One centre after another in float64 differences."""
    features, centres = features.astype(np.float64), centres.astype(np.float64)
    nearest = np.full(len(features), np.inf)
    chosen = []

    def approach(centre):
        with np.errstate(over="ignore"):
            np.minimum(nearest, np.square(features - centre).sum(axis=1), out=nearest)

    for centre in centres:
        approach(centre)
    for _ in range(n):
        chosen.append(int(nearest.argmax()))
        approach(features[chosen[-1]])
        nearest[chosen] = -np.inf
    return chosen


def gaussian(rng, rows, channels):
    return rng.normal(size=(rows, channels))


def near_copies(rng, rows, channels):
    """Clusters of 20 whose members differ in a few last bits."""
    clusters = rng.normal(size=(-(-rows // 20), channels)).astype(np.float32)
    copies = np.repeat(clusters, 20, axis=0)[:rows]
    towards = rng.choice([-np.inf, np.inf], size=copies.shape).astype(np.float32)
    moved = rng.random(copies.shape) < 2 / channels
    return np.where(moved, np.nextafter(copies, towards), copies)


def duplicates(rng, rows, channels):
    return rng.normal(size=(max(1, rows // 50), channels))[
        rng.integers(max(1, rows // 50), size=rows)
    ]


def all_equal(rng, rows, channels):
    return np.full((rows, channels), 0.1)


def all_zero(rng, rows, channels):
    return np.zeros((rows, channels))


def a_line(rng, rows, channels):
    return rng.permutation(rows)[:, None] * np.ones(channels)


def a_grid(rng, rows, channels):
    return rng.integers(0, 4, size=(rows, channels)).astype(np.float64)


def far_away(rng, rows, channels):
    return 1e6 + 1e-3 * rng.normal(size=(rows, channels))


def one_outlier(rng, rows, channels):
    features = rng.normal(size=(rows, channels))
    features[rows // 2] *= 1e9
    return features


def two_scales(rng, rows, channels):
    """Half lies together far away, closer than float32 can tell."""
    features = 1e-4 * rng.normal(size=(rows, channels))
    features[rows // 2 :] += 1e3
    return features


def relu_like(rng, rows, channels):
    """Non-negative, of low rank, with a heavy tail."""
    hidden = rng.normal(size=(rows, 8)) * np.exp(rng.normal(size=(rows, 1)))
    return np.maximum(hidden @ rng.normal(size=(8, channels)), 0)


def huge(rng, rows, channels):
    return 1e30 * rng.normal(size=(rows, channels))


def tiny(rng, rows, channels):
    return 1e-30 * rng.normal(size=(rows, channels))


def denormal(rng, rows, channels):
    return 1e-310 * rng.normal(size=(rows, channels))


def with_tiny_rows(rng, rows, channels):
    features = rng.normal(size=(rows, channels))
    features[::3] *= 1e-25
    return features


STRUCTURES = [
    gaussian, near_copies, duplicates, all_equal, all_zero, a_line, a_grid, far_away, one_outlier,
    two_scales, relu_like, huge, tiny, denormal, with_tiny_rows,
]  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_every_structure_and_precision(structure, dtype):
    rng = np.random.default_rng(5)
    with np.errstate(over="ignore"):
        points = structure(rng, 340, 11).astype(dtype)
    points = points[np.isfinite(points).all(axis=1)]
    features, centres = points[30:], points[:30]
    n = min(200, len(features))
    assert k_center(features, centres, n).tolist() == brute_force(features, centres, n)


@pytest.mark.parametrize("structure", [gaussian, near_copies, relu_like, duplicates])
def test_more_rows_than_a_shortlist_holds(structure):
    rng = np.random.default_rng(6)
    points = structure(rng, 3100, 48).astype(np.float32)
    points = points[rng.permutation(len(points))]
    features, centres = points[100:], points[:100]
    assert len(features) > 4 * farthest.SHORTLIST
    assert k_center(features, centres, 700).tolist() == brute_force(features, centres, 700)


@st.composite
def cases(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    structure = draw(st.sampled_from(STRUCTURES))
    rows, channels = draw(st.integers(1, 60)), draw(st.integers(1, 9))
    points = structure(rng, rows, channels)
    labelled = draw(st.integers(0, rows - 1))
    scale = draw(st.sampled_from([1.0, -1.0, 1e-12, 1e12]))
    shift = draw(st.sampled_from([0.0, 1.0, 1e5]))
    points = points * scale + shift
    assume(np.abs(points).max() < np.finfo(np.float32).max)
    points = points.astype(draw(st.sampled_from([np.float32, np.float64])))
    return points[labelled:], points[:labelled], draw(st.integers(0, rows - labelled))


@pytest.mark.parametrize("size", [2, 5, 512])
@settings(derandomize=True, max_examples=150, deadline=None)
@given(case=cases())
def test_any_mixture_whatever_a_shortlist_holds(size, case):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(farthest, "SHORTLIST", size)
        patch.setattr(farthest, "CENTRES", 2 * size)
        patch.setattr(distances, "CENTRES", 2 * size)
        patch.setattr(farthest, "SETTLED", 2)
        assert k_center(*case).tolist() == brute_force(*case)


def test_numbers_whose_squares_overflow():
    rng = np.random.default_rng(7)
    points = rng.normal(size=(25, 3)) * np.array([1e154, 1.0, 1e200]) ** rng.integers(0, 2, (25, 1))
    assert k_center(points[5:], points[:5], 20).tolist() == brute_force(points[5:], points[:5], 20)


def test_the_picks_do_not_depend_on_what_products_may_round():
    rng = np.random.default_rng(8)
    points = torch.from_numpy(near_copies(rng, 300, 16).astype(np.float32))
    usual = k_center(points[20:], points[:20], 150).tolist()
    torch.set_float32_matmul_precision("medium")
    try:
        assert k_center(points[20:], points[:20], 150).tolist() == usual
    finally:
        torch.set_float32_matmul_precision("highest")


def test_arrays_that_torch_cannot_share():
    rng = np.random.default_rng(9)
    points = rng.normal(size=(40, 4)).astype(np.float32)
    expected = brute_force(points[4:], points[:4], 20)
    read_only = points.copy()
    read_only.flags.writeable = False
    backwards = np.ascontiguousarray(points[:, ::-1])[:, ::-1]
    for same in (read_only, backwards, points.astype(">f4"), np.asfortranarray(points)):
        assert k_center(same[4:], same[:4], 20).tolist() == expected
    whole = rng.integers(0, 9, size=(40, 4))
    assert k_center(whole[4:], whole[:4], 20).tolist() == brute_force(whole[4:], whole[:4], 20)
    tensor = torch.from_numpy(whole)
    assert k_center(tensor[4:], tensor[:4], 20).tolist() == brute_force(whole[4:], whole[:4], 20)


def test_no_channels_and_no_rows():
    assert k_center(np.empty((3, 0)), np.empty((1, 0)), 3).tolist() == [0, 1, 2]
    assert k_center(np.empty((0, 2)), np.empty((0, 2)), 0).tolist() == []


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("structure", [gaussian, near_copies, duplicates])
def test_the_same_on_a_gpu(structure):
    points = torch.from_numpy(structure(np.random.default_rng(10), 900, 32)).float()
    features, centres = points[50:], points[:50]
    rows = k_center(features.cuda(), centres.cuda(), 400)
    assert rows.is_cuda
    assert rows.tolist() == k_center(features, centres, 400).tolist()
