"""Herding's picks are those of the formula in float64, and of scikit-activeml's MaxHerding."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from alspec.acquisition import base, coverage, kernel
from alspec.acquisition.herding import (
    Herding,
    HerdingParams,
    least_distance,
    max_herding,
    mean_margin_uncertainty,
)


def directions(features: np.ndarray) -> np.ndarray:
    wide = np.asarray(features, dtype=np.float64)
    lengths = np.sqrt((wide**2).sum(axis=1, keepdims=True))
    return np.divide(wide, lengths, out=np.zeros_like(wide), where=lengths > 0)


def kernel_of(x: np.ndarray, y: np.ndarray, h: float) -> np.ndarray:
    differences = directions(x)[:, None] - directions(y)[None]
    return np.exp(-(differences**2).sum(axis=2) / h**2)


def brute_force(
    features: np.ndarray, labelled: np.ndarray, n: int, h: float = 0.8, weights: Any = None
) -> list[int]:
    k = kernel_of(features, features, h)
    m = kernel_of(features, labelled, h).max(axis=1) if len(labelled) else np.zeros(len(features))
    w = np.ones(len(features)) if weights is None else np.asarray(weights, dtype=np.float64)
    chosen: list[int] = []
    for _ in range(n):
        gains = (w[:, None] * np.maximum(k - m[:, None], 0)).sum(axis=0)
        gains[chosen] = -1
        floor = max(gains.max() * (1 - 1e-9), 0) if gains.max() > 1e-12 * w.sum() else 0
        chosen.append(int(np.flatnonzero(gains >= floor)[0]))
        m = np.maximum(m, k[:, chosen[-1]])
    return chosen


def made(kind: str, n: int = 220, d: int = 24, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if kind == "clusters":
        middles = rng.normal(size=(n // 10, d))
        return np.repeat(middles, 10, axis=0) + 0.2 * rng.normal(size=(n, d))
    if kind == "video":
        return np.cumsum(rng.normal(size=(n, d)), axis=0) + 3
    if kind == "duplicates":
        return np.repeat(rng.normal(size=(n // 4, d)), 4, axis=0)
    if kind == "zeros":
        features = rng.normal(size=(n, d))
        features[::7] = 0
        return features
    if kind == "equal":
        return np.ones((n, d))
    return np.maximum(rng.normal(size=(n, d)), 0) if kind == "positive" else rng.normal(size=(n, d))


KINDS = ["noise", "positive", "clusters", "video", "duplicates", "zeros", "equal"]


@pytest.fixture(params=[kernel.TILE, 64], ids=["one tile", "tiles"])
def _tiles(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "TILE", request.param)


@pytest.mark.usefixtures("_tiles")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_picks_are_those_of_brute_force(kind: str, dtype: Any) -> None:
    features = made(kind).astype(dtype)
    none = features[:0]
    assert max_herding(features, none, 80).tolist() == brute_force(features, none, 80)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("h", [0.02, 0.3, 0.8, 3.0])
def test_with_labels_weights_and_other_bandwidths(kind: str, h: float) -> None:
    points = made(kind).astype(np.float32)
    features, labelled = points[20:], points[:20]
    weights = np.random.default_rng(5).uniform(size=len(features)).round(2)
    weights[::9] = 0
    found = max_herding(features, labelled, 60, h, weights).tolist()
    assert found == brute_force(features, labelled, 60, h, weights)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("h", [0.05, 0.1, 0.2])
def test_of_equal_gains_the_lowest_row_is_chosen(h: float, dtype: Any) -> None:
    rng = np.random.default_rng(0)
    features, labelled = (rng.normal(size=(n, 10)).astype(np.float32) for n in (150, 5))
    found = max_herding(features.astype(dtype), labelled.astype(dtype), 20, h).tolist()
    assert found == brute_force(features, labelled, 20, h)


@pytest.mark.parametrize("held", [0.0, 0.3])
@pytest.mark.parametrize("kind", ["clusters", "video", "duplicates"])
def test_what_is_forgotten_is_looked_at_again(
    kind: str, held: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coverage, "HELD", held)
    monkeypatch.setattr(coverage, "MULTIPLIED", 16)
    monkeypatch.setattr(coverage, "LOOKED_AT", 4)
    features = made(kind).astype(np.float32)
    assert max_herding(features, features[:0], 60).tolist() == brute_force(
        features, features[:0], 60
    )


def test_a_guess_that_fails_changes_no_pick(monkeypatch: pytest.MonkeyPatch) -> None:
    features = made("video", 400)
    expected = brute_force(features, features[:0], 40)
    monkeypatch.setattr(coverage, "SAMPLE", 2)
    monkeypatch.setattr(coverage, "SHORTLIST", 1)
    assert max_herding(features, features[:0], 40).tolist() == expected
    monkeypatch.setattr(coverage, "GUESSED", 1)
    assert max_herding(features, features[:0], 40).tolist() == expected


def test_tensors_stay_tensors_and_half_precision_is_read_as_it_is() -> None:
    features = torch.from_numpy(made("clusters")).half()
    found = max_herding(features, features[:0], 12)
    assert isinstance(found, torch.Tensor)
    assert found.tolist() == brute_force(features.double().numpy(), made("noise")[:0], 12)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_properties(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 40))
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    features = rng.normal(size=(count, 5))
    labelled = rng.normal(size=(data.draw(st.integers(0, 3)), 5))
    n = data.draw(st.integers(0, count))
    rows = max_herding(features, labelled, n).tolist()
    assert len(set(rows)) == n
    assert set(rows) <= set(range(count))
    assert max_herding(features, labelled, n // 2).tolist() == rows[: n // 2], "nested"
    lengths = rng.uniform(0.1, 9, size=(count, 1))
    assert max_herding(features * lengths, labelled, n).tolist() == rows, "directions alone"
    k = kernel_of(features, features, 0.8)
    m = kernel_of(features, labelled, 0.8).max(axis=1) if len(labelled) else np.zeros(count)
    gained = [m.sum()]
    for row in rows:
        m = np.maximum(m, k[:, row])
        gained.append(m.sum())
    steps = np.diff(gained)
    assert (steps[1:] <= steps[:-1] + 1e-9).all(), "submodular: each pick gains no more"


@pytest.mark.parametrize("labels", [0, 6])
@pytest.mark.parametrize("kind", ["noise", "positive", "clusters", "video"])
def test_picks_are_those_of_scikit_activeml(kind: str, labels: int) -> None:
    pool = pytest.importorskip("skactiveml.pool", reason="scikit-activeml, an oracle, is not here")
    points, h = made(kind), 0.8
    y = np.full(len(points), np.nan)
    y[:labels] = 0
    strategy = pool.MaxHerding(metric_dict={"gamma": 1 / h**2}, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = strategy.query(points, y, batch_size=30)
    ours = max_herding(points[labels:], points[:labels], 30, h) + labels
    assert ours.tolist() == found.tolist()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n": 7}, "cannot choose n=7"),
        ({"bandwidth": 0.0}, "above 0"),
        ({"bandwidth": float("nan")}, "above 0"),
        ({"weights_N": np.ones(5)}, r"must be \(6,\)"),
        ({"weights_N": np.array([1, 1, 1, 1, 1, -1.0])}, "not negative"),
        ({"weights_N": np.array([1, 1, 1, 1, 1, np.nan])}, "finite"),
        ({"features_ND": np.full((6, 2), np.nan)}, "row 0 is not"),
        ({"labelled_MD": np.ones((1, 3))}, "centres"),
    ],
)
def test_wrong_arguments(change: dict[str, Any], words: str) -> None:
    given = {"features_ND": np.ones((6, 2)), "labelled_MD": np.ones((1, 2)), "n": 2}
    with pytest.raises(ValueError, match=words):
        max_herding(**{**given, **change})


def test_the_uncertainty_of_a_margin() -> None:
    p = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.5, 0.3, 0.2]])
    log_p = p.log()[:, :, None, None].expand(3, 3, 4, 6)
    expected = torch.tensor([0.0, 1.0, 0.8])
    torch.testing.assert_close(mean_margin_uncertainty(log_p), expected)


def test_the_least_distance_between_two_directions() -> None:
    points = made("noise", 50)
    z = directions(points)
    apart = np.sqrt(((z[:, None] - z[None]) ** 2).sum(axis=2))[~np.eye(50, dtype=bool)].min()
    assert least_distance(torch.from_numpy(points)) == pytest.approx(apart, rel=1e-12)
    assert least_distance(torch.from_numpy(points[:1])) is None
    assert least_distance(torch.ones(2, 3)) == 0


def candidates(features: np.ndarray, labelled: np.ndarray, weights: np.ndarray) -> base.Candidates:
    return base.Candidates(
        ids=[f"f{row:03d}" for row in range(len(features))],  # type: ignore[misc]
        sequences=["v"] * len(features),
        features_ND=torch.from_numpy(features),
        labelled_features_MD=torch.from_numpy(labelled),
        reduced_N=torch.from_numpy(weights),
    )


def test_the_built_in_weights_by_uncertainty_and_measures_its_bandwidth() -> None:
    points = made("clusters", 120)
    features, labelled = points[30:], points[:30]
    weights = np.random.default_rng(2).uniform(size=90)
    rng = np.random.default_rng(0)
    offered = candidates(features, labelled, weights)
    h = least_distance(torch.from_numpy(labelled))
    assert h
    found = Herding(HerdingParams()).select(offered, 20, rng)
    assert found == [f"f{r:03d}" for r in brute_force(features, labelled, 20, h, weights)]
    plain = Herding(HerdingParams(bandwidth=0.8, weighted=False)).select(offered, 20, rng)
    assert plain == [f"f{r:03d}" for r in brute_force(features, labelled, 20, 0.8)]


def test_labels_that_lie_on_one_another_leave_a_bandwidth() -> None:
    points = made("noise", 40)
    labelled = np.ones((3, 24))
    weights = np.random.default_rng(3).uniform(size=40)
    found = Herding(HerdingParams()).select(
        candidates(points, labelled, weights), 10, np.random.default_rng(0)
    )
    by_weight = sorted(range(40), key=lambda row: -weights[row])[:10]
    assert found == [f"f{row:03d}" for row in by_weight], "each stands for itself alone"
