"""Random, Uniform and Coreset against brute force and their promises."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from alspec.acquisition import distances, farthest
from alspec.acquisition.base import Candidates, Params
from alspec.acquisition.coreset import Coreset, k_center
from alspec.acquisition.random import Random
from alspec.acquisition.uniform import Uniform, evenly_spaced, shares

QUICK = settings(derandomize=True, max_examples=50, deadline=None)


def candidates_of(lengths, **features):
    return Candidates(
        ids=[f"{s}/{i:03d}" for s, length in enumerate(lengths) for i in range(length)],
        sequences=[str(s) for s, length in enumerate(lengths) for _ in range(length)],
        **features,
    )


def rng(seed=0):
    return np.random.default_rng(seed)


def brute_force(features, centres, n):
    """Greedy k-center by its definition, one distance after another."""
    centres, left, chosen = list(centres), list(range(len(features))), []
    for _ in range(n):

        def far(row):
            return min(
                (sum((a - b) ** 2 for a, b in zip(features[row], c, strict=True)) for c in centres),
                default=np.inf,
            )

        best = max(left, key=lambda row: (far(row), -row))
        chosen.append(best)
        left.remove(best)
        centres.append(features[best])
    return chosen


@st.composite
def grids(draw):
    dimensions = draw(st.integers(1, 3))
    point = st.lists(st.integers(-2, 2), min_size=dimensions, max_size=dimensions)
    features = draw(st.lists(point, min_size=1, max_size=12))
    centres = draw(st.lists(point, max_size=3))
    n = draw(st.integers(0, len(features)))
    return (
        np.array(features, dtype=np.float64),
        np.array(centres, dtype=np.float64).reshape(-1, dimensions),
        n,
    )


@QUICK
@given(grids())
def test_k_center_equals_brute_force_with_ties_and_duplicates(case):
    features, centres, n = case
    rows = k_center(features, centres, n)
    assert rows.dtype == np.int64
    assert rows.tolist() == brute_force(features, centres, n)


@pytest.mark.parametrize("block", [1, 7, 1 << 18])
def test_k_center_equals_brute_force_whatever_the_block(monkeypatch, block):
    monkeypatch.setattr(farthest, "SHORTLIST", block)
    monkeypatch.setattr(farthest, "CENTRES", block)
    monkeypatch.setattr(distances, "CENTRES", block)
    monkeypatch.setattr(farthest, "SETTLED", block)
    monkeypatch.setattr(distances, "PAIRS", block)
    features, centres = rng(1).normal(size=(40, 3)), rng(2).normal(size=(4, 3))
    assert k_center(features, centres, 25).tolist() == brute_force(features, centres, 25)


def test_k_center_does_not_cancel_far_from_the_origin():
    features = np.array([[0.0], [1e-3], [3e-3], [3e-3]]) + 1e8
    assert k_center(features, features[:1], 4).tolist() == [2, 1, 0, 3]


def test_duplicates_come_last_lowest_first():
    features = np.array([[1.0, 1.0]] * 3 + [[5.0, 5.0], [2.0, 2.0]])
    assert k_center(features, np.array([[1.0, 1.0]]), 5).tolist() == [3, 4, 0, 1, 2]


def test_without_centres_row_0_comes_first():
    features = np.array([[0.0], [10.0], [4.0]])
    assert k_center(features, np.empty((0, 1)), 3).tolist() == [0, 1, 2]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_k_center_answers_a_tensor_with_a_tensor(dtype):
    features = torch.from_numpy(rng(3).normal(size=(30, 4))).to(dtype)
    centres = features[:2] + 1
    rows = k_center(features, centres, 10)
    assert isinstance(rows, torch.Tensor)
    assert rows.dtype == torch.int64
    expected = k_center(features.double().numpy(), centres.double().numpy(), 10)
    assert isinstance(expected, np.ndarray)
    assert rows.tolist() == expected.tolist()


def test_k_center_changes_no_input():
    features, centres = rng(3).normal(size=(30, 4)), rng(4).normal(size=(2, 4))
    before = features.copy(), centres.copy()
    k_center(features, centres, 10)
    assert np.array_equal(features, before[0])
    assert np.array_equal(centres, before[1])


@pytest.mark.parametrize(
    ("features", "centres", "n", "message"),
    [
        (np.zeros((3, 2)), np.zeros((1, 2)), 4, "n=4 rows from 3"),
        (np.zeros((3, 2)), np.zeros((1, 2)), -1, "n=-1"),
        (np.zeros((3, 2)), np.zeros((1, 3)), 1, r"\(3, 2\) and \(1, 3\)"),
        (np.zeros(3), np.zeros((1, 1)), 1, r"\(3,\)"),
        (np.array([[0.0], [np.nan]]), np.zeros((1, 1)), 1, "features must be finite; row 1"),
        (np.zeros((2, 1)), np.array([[-np.inf]]), 0, "centres must be finite; row 0"),
    ],
)
def test_k_center_refuses_what_it_cannot_answer(features, centres, n, message):
    with pytest.raises(ValueError, match=message):
        k_center(features, centres, n)


@QUICK
@given(grids(), st.randoms(use_true_random=False))
def test_coreset_does_not_depend_on_the_order_of_candidates(case, shuffler):
    features, centres, n = (torch.from_numpy(x) if not isinstance(x, int) else x for x in case)
    ids = [f"{row:03d}" for row in range(len(features))]
    expected = [ids[row] for row in k_center(features, centres, n)]
    order = list(range(len(ids)))
    shuffler.shuffle(order)
    shuffled = Candidates(
        ids=[ids[row] for row in order],
        sequences=[""] * len(ids),
        features_ND=features[order],
        labelled_features_MD=centres,
    )
    assert Coreset(Params()).select(shuffled, n, rng()) == expected


def test_coreset_without_features_says_so():
    with pytest.raises(ValueError, match="needs features"):
        Coreset(Params()).select(candidates_of([3]), 1, rng())


def test_random_chooses_every_candidate_equally_often():
    candidates = candidates_of([6])
    generator = rng(0)
    draws = Counter(
        image for _ in range(3000) for image in Random(Params()).select(candidates, 2, generator)
    )
    assert set(draws) == set(candidates.ids)
    assert all(abs(count - 1000) < 130 for count in draws.values())  # 5 standard deviations


def test_random_follows_its_generator():
    candidates = candidates_of([50])
    one, same, other = (Random(Params()).select(candidates, 10, rng(s)) for s in (1, 1, 2))
    assert one == same
    assert one != other
    assert len(set(one)) == 10


@pytest.mark.parametrize("function", [Random, Uniform])
@pytest.mark.parametrize("n", [4, -1])
def test_more_than_there_is_cannot_be_chosen(function, n):
    with pytest.raises(ValueError):  # noqa: PT011 - NumPy words it for Random
        function(Params()).select(candidates_of([1, 2]), n, rng())


@QUICK
@given(st.lists(st.integers(0, 30), min_size=1, max_size=6), st.data())
def test_shares_are_proportional_to_one_image(lengths, data):
    total = sum(lengths)
    n = data.draw(st.integers(0, total))
    result = shares(lengths, n)
    assert sum(result) == n
    for share, length in zip(result, lengths, strict=True):
        assert 0 <= share <= length
        assert abs(share * total - n * length) < max(total, 1)


@QUICK
@given(st.integers(1, 200), st.data())
def test_positions_are_evenly_spaced_and_centred(length, data):
    n = data.draw(st.integers(1, length))
    positions = evenly_spaced(length, n)
    assert len(positions) == n
    gaps = np.diff(positions)
    assert ((gaps >= length // n) & (gaps <= -(-length // n))).all()
    assert (gaps >= 1).all()
    before, after = positions[0], length - 1 - positions[-1]
    assert abs(before - after) <= 1
    assert max(before, after) <= length / n / 2 + 1


def test_uniform_in_one_sequence_and_in_two():
    uniform = Uniform(Params())
    assert uniform.select(candidates_of([10]), 5, rng()) == [
        "0/001", "0/003", "0/005", "0/007", "0/009",
    ]  # fmt: skip
    assert uniform.select(candidates_of([8, 4]), 3, rng()) == ["0/002", "0/006", "1/001"]


def after(lengths, chosen):
    """Candidates of sequences where some positions are labelled."""
    places = [(s, i) for s, length in enumerate(lengths) for i in range(length)]
    rest = [place for place in places if place not in set(chosen)]
    return Candidates(
        ids=[f"{s}/{i:05d}" for s, i in rest],
        sequences=[str(s) for s, _ in rest],
        positions=[i for _, i in rest],
        labelled_ids=[f"{s}/{i:05d}" for s, i in chosen],
        labelled_sequences=[str(s) for s, _ in chosen],
        labelled_positions=[i for _, i in chosen],
    )


def places_of(ids):
    return [tuple(map(int, image.split("/"))) for image in ids]


def mean_distance(lengths, places):
    """Frames to the nearest label of the same sequence, by its definition; none is its length."""
    total = 0
    for sequence, length in enumerate(lengths):
        labels = np.array([i for s, i in places if s == sequence])
        frames = np.arange(length)
        total += np.abs(frames[:, None] - labels).min(axis=1).sum() if len(labels) else length**2
    return total / sum(lengths)


def spread(lengths, counts):
    """The labelled sets of Uniform, cycle by cycle."""
    places: list = []
    for count in counts:
        added = Uniform(Params()).select(after(lengths, places), count - len(places), rng())
        places = places + places_of(added)
        assert len(set(places)) == count
        yield places


A2D2_SEQUENCES = [
    3093, 2744, 2611, 2540, 2431, 2300, 2263, 2161, 2087, 2010, 1956, 1873, 1801, 1738, 1655, 1577,
    1493, 1242, 984, 700, 538, 338,
]  # fmt: skip
"""Lengths like those of A2D2's 22 sequences, 40,135 frames together."""


@pytest.mark.parametrize(
    ("lengths", "counts"),
    [
        (A2D2_SEQUENCES, [1000, 2000, 3000]),
        (A2D2_SEQUENCES, [803, 1606, 2409, 3211, 4014]),
        ([100] * 20, [40, 80, 120, 160, 200]),
        ([60] * 4, [24, 48, 72, 96, 120]),
        ([97, 5, 33, 1, 64], [20, 40, 60, 80, 100]),
        ([1000] * 22, [22, 44, 66, 88]),
        ([57] * 6, [6, 12, 18, 24]),
        ([57] * 6, [7, 14, 21, 27, 34]),
        ([22] * 120, [53, 106, 158, 211, 264]),
        ([30] * 20, [10, 20, 30, 40, 50]),
        ([10] * 60, [30, 60, 90, 120]),
        ([400], range(1, 40)),
    ],
)
def test_uniform_is_nearly_a_grid_at_every_cycle_and_better_than_random(lengths, counts):
    places = [(s, i) for s, length in enumerate(lengths) for i in range(length)]
    for number, labelled in enumerate(spread(lengths, counts)):
        grid = [
            (sequence, position)
            for sequence, share in enumerate(shares(lengths, len(labelled)))
            for position in evenly_spaced(lengths[sequence], share)
        ]
        found, best = mean_distance(lengths, labelled), mean_distance(lengths, grid)
        assert found <= 1.2 * best
        assert number or found <= 1.12 * best
        for seed in range(3) if len(labelled) > len(lengths) else ():  # one may be lucky
            drawn = rng(seed).choice(len(places), len(labelled), replace=False)
            assert found < mean_distance(lengths, [places[row] for row in drawn])


def test_a2d2_s_geometry_is_its_size():
    assert (len(A2D2_SEQUENCES), sum(A2D2_SEQUENCES)) == (22, 40_135)


@QUICK
@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.data())
def test_uniform_s_next_label_shrinks_distances_as_much_as_any_could(lengths, data):
    places = [(s, i) for s, length in enumerate(lengths) for i in range(length)]
    labelled = [(s, data.draw(st.integers(0, length - 1))) for s, length in enumerate(lengths)]
    labelled += data.draw(st.lists(st.sampled_from(places), max_size=4))
    labelled = list(dict.fromkeys(labelled))
    left = [place for place in places if place not in labelled]
    if not left:
        return
    (chosen,) = places_of(Uniform(Params()).select(after(lengths, labelled), 1, rng()))
    best = min(mean_distance(lengths, [*labelled, place]) for place in left)
    assert mean_distance(lengths, [*labelled, chosen]) == pytest.approx(best)


def test_uniform_refuses_more_than_there_are():
    with pytest.raises(ValueError, match="n=4 images from 3"):
        Uniform(Params()).select(after([4], [(0, 1)]), 4, rng())


def test_uniform_does_not_depend_on_the_generator():
    generator = rng(1)
    before = generator.bit_generator.state
    candidates = candidates_of([7, 13, 1])
    assert Uniform(Params()).select(candidates, 6, generator) == Uniform(Params()).select(
        candidates, 6, rng(2)
    )
    assert generator.bit_generator.state == before
