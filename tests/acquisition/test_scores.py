"""Entropy, EqualAL and BALD against slow NumPy references and their known values."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from alspec.acquisition.bald import Bald, BaldParams, mutual_information
from alspec.acquisition.base import Params
from alspec.acquisition.entropy import Entropy, mean_entropy
from alspec.acquisition.equal import Equal, EqualParams, js_divergence

QUICK = settings(derandomize=True, max_examples=30, deadline=None)
SEEDS = st.integers(0, 2**32 - 1)
CLASSES = st.integers(1, 5)


def log_softmax(rng, *shape, scale=3.0):
    logits = rng.normal(scale=scale, size=shape)
    return logits - np.logaddexp.reduce(logits, axis=-3, keepdims=True)


def one_hot(class_index, classes=3, batch=2, size=(4, 5)):
    log_p = torch.full((batch, classes, *size), -torch.inf)
    log_p[:, class_index] = 0.0
    return log_p


def pixel_entropy(p):
    return -sum(float(x) * np.log(float(x)) for x in p if x > 0)


def over_pixels(function, *views):
    """Mean over the pixels of function(p_1, p_2, ...), each p a vector of C probabilities."""
    batch, _, height, width = views[0].shape
    return np.array(
        [
            np.mean(
                [
                    function(*(np.exp(view[b, :, y, x]) for view in views))
                    for y in range(height)
                    for x in range(width)
                ]
            )
            for b in range(batch)
        ]
    )


def reference_js(p, q):
    mean = (p + q) / 2
    return pixel_entropy(mean) - (pixel_entropy(p) + pixel_entropy(q)) / 2


def reference_information(*passes):
    mean = sum(passes) / len(passes)
    return pixel_entropy(mean) - sum(pixel_entropy(p) for p in passes) / len(passes)


@QUICK
@given(SEEDS, CLASSES)
def test_entropy_equals_the_reference_and_stays_in_range(seed, classes):
    log_p = log_softmax(np.random.default_rng(seed), 2, classes, 3, 4)
    score = mean_entropy(torch.from_numpy(log_p))
    assert score.dtype == torch.float64
    np.testing.assert_allclose(score, over_pixels(pixel_entropy, log_p), rtol=1e-12, atol=1e-15)
    assert ((score >= 0) & (score <= np.log(classes) + 1e-12)).all()


@pytest.mark.parametrize("classes", [2, 19, 21])
def test_entropy_of_a_uniform_prediction_is_log_c(classes):
    log_p = torch.zeros(3, classes, 7, 5).log_softmax(dim=1)
    np.testing.assert_allclose(mean_entropy(log_p), np.log(classes), rtol=1e-6)


def test_entropy_of_a_one_hot_prediction_is_zero():
    assert mean_entropy(one_hot(1)).tolist() == [0.0, 0.0]


def test_entropy_ranks_an_uncertain_image_above_a_near_certain_one():
    certain = torch.tensor([0.0, 12.0]).view(2, 1, 1).repeat(1, 4, 4)
    certain[1, 0, 0] = 10.0  # a per-image min-max scale would blow this pixel up
    uncertain = torch.tensor([0.0, 0.5]).view(2, 1, 1).repeat(1, 4, 4)
    low, high = mean_entropy(torch.stack([certain, uncertain]).log_softmax(dim=1))
    assert low < 0.01 < 0.6 < high


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize(
    "score",
    [
        mean_entropy,
        lambda log_p: js_divergence(log_p, log_p.flip(0)),
        lambda log_p: mutual_information(torch.stack([log_p, log_p.flip(0)])),
    ],
    ids=["entropy", "equal", "bald"],
)
def test_half_precision_is_computed_in_float32(dtype, score):
    log_p = torch.from_numpy(log_softmax(np.random.default_rng(3), 2, 19, 32, 32)).to(dtype)
    half = score(log_p)
    assert half.dtype == torch.float32
    np.testing.assert_allclose(half, score(log_p.double()), rtol=1e-4)


@QUICK
@given(SEEDS, CLASSES)
def test_js_equals_the_reference_and_is_symmetric(seed, classes):
    rng = np.random.default_rng(seed)
    first, second = (log_softmax(rng, 2, classes, 3, 4) for _ in range(2))
    score = js_divergence(torch.from_numpy(first), torch.from_numpy(second))
    np.testing.assert_allclose(score, over_pixels(reference_js, first, second), atol=1e-12)
    np.testing.assert_allclose(
        score, js_divergence(torch.from_numpy(second), torch.from_numpy(first)), atol=1e-14
    )
    assert ((score >= 0) & (score <= np.log(2))).all()


def test_js_of_identical_views_is_zero():
    log_p = torch.from_numpy(log_softmax(np.random.default_rng(0), 4, 19, 16, 16)).float()
    score = js_divergence(log_p, log_p.clone())
    assert (score >= 0).all()
    np.testing.assert_allclose(score, 0, atol=1e-7)
    assert js_divergence(one_hot(0), one_hot(0)).tolist() == [0.0, 0.0]


def test_js_of_disjoint_one_hots_is_log_2():
    np.testing.assert_allclose(js_divergence(one_hot(0), one_hot(2)), np.log(2), rtol=1e-7)


def test_js_refuses_views_of_two_shapes():
    with pytest.raises(ValueError, match=r"one shape.*\(2, 3, 4, 5\).*\(1, 3, 4, 5\)"):
        js_divergence(one_hot(0, batch=2), one_hot(0, batch=1))


@pytest.mark.parametrize(
    ("variant", "reference"),
    [
        ("js", reference_js),
        ("entropy_sum", lambda p, q: pixel_entropy(p) + pixel_entropy(q)),
        ("mean_entropy", lambda p, q: pixel_entropy((p + q) / 2)),
    ],
)
def test_variants_of_equal(variant, reference):
    rng = np.random.default_rng(7)
    first, second = (log_softmax(rng, 2, 4, 3, 4) for _ in range(2))
    outputs = SimpleNamespace(
        log_p_BCHW=torch.from_numpy(first), log_p_mirror_BCHW=torch.from_numpy(second)
    )
    score = Equal(EqualParams(variant=variant)).score(outputs)
    np.testing.assert_allclose(score, over_pixels(reference, first, second), rtol=1e-10)


def test_js_is_the_default_and_a_foreign_variant_an_error():
    assert Equal.Params().variant == "js"
    with pytest.raises(ValidationError, match="entropy_sum"):
        EqualParams(variant="kl")


@QUICK
@given(SEEDS, CLASSES, st.integers(2, 6))
def test_information_equals_the_reference(seed, classes, passes):
    log_p = log_softmax(np.random.default_rng(seed), passes, 2, classes, 3, 4)
    score = mutual_information(torch.from_numpy(log_p))
    np.testing.assert_allclose(score, over_pixels(reference_information, *log_p), atol=1e-12)
    assert ((score >= 0) & (score <= np.log(passes) + 1e-12)).all()


def test_information_of_identical_passes_is_zero():
    log_p = torch.from_numpy(log_softmax(np.random.default_rng(0), 3, 19, 16, 16)).float()
    score = mutual_information(log_p.expand(10, -1, -1, -1, -1))
    assert (score >= 0).all()
    np.testing.assert_allclose(score, 0, atol=1e-6)


def test_information_of_two_opposite_one_hots_is_log_2():
    score = mutual_information(torch.stack([one_hot(0), one_hot(2)]))
    np.testing.assert_allclose(score, np.log(2), rtol=1e-6)


def test_information_is_not_the_entropy_of_the_mean():
    undecided = torch.zeros(4, 1, 2, 3, 3).log_softmax(dim=2)
    assert mutual_information(undecided).item() == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize("passes", [0, 1])
def test_one_pass_carries_no_information(passes):
    with pytest.raises(ValueError, match=f"at least 2 dropout passes, got {passes}"):
        mutual_information(torch.zeros(passes, 2, 3, 4, 4))


def test_bald_wants_two_passes_or_more_and_ten_by_default():
    assert Bald.Params().passes == 10
    with pytest.raises(ValidationError, match="greater than or equal to 2"):
        BaldParams(passes=1)


def test_streaming_equals_stacked_and_keeps_no_pass():
    log_p = torch.from_numpy(log_softmax(np.random.default_rng(5), 8, 2, 4, 6, 6)).float()
    alive = []

    def stream():
        import weakref

        for one in log_p:
            made = one.clone()
            alive.append(weakref.ref(made))
            yield made
            del made
            assert sum(reference() is not None for reference in alive) <= 1

    score = Bald(BaldParams(passes=8)).score(SimpleNamespace(log_p_passes=stream()))
    assert len(alive) == 8
    np.testing.assert_allclose(score, mutual_information(log_p), rtol=1e-6)


def test_scoring_changes_no_input():
    log_p = torch.from_numpy(log_softmax(np.random.default_rng(5), 3, 2, 4, 6, 6))
    before = log_p.clone()
    mean_entropy(log_p[0])
    js_divergence(log_p[0], log_p[1])
    mutual_information(log_p)
    assert torch.equal(log_p, before)


def test_nan_is_not_hidden():
    log_p = torch.zeros(2, 3, 4, 4).log_softmax(dim=1)
    log_p[1, 0, 0, 0] = torch.nan
    for score in (
        mean_entropy(log_p),
        js_divergence(log_p, log_p),
        mutual_information(torch.stack([log_p, log_p])),
    ):
        assert score.isnan().tolist() == [False, True]


def test_entropy_scores_the_images_as_they_are():
    log_p = torch.from_numpy(log_softmax(np.random.default_rng(5), 2, 4, 6, 6))
    score = Entropy(Params()).score(SimpleNamespace(log_p_BCHW=log_p))
    assert torch.equal(score, mean_entropy(log_p))
