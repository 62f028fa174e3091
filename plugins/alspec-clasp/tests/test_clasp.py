"""ClaSP PE against a plain loop over pixels, and its shares, order and noise."""

import numpy as np
import pytest
import torch
from alspec_clasp import Clasp, ClaspParams, class_balanced, entropies
from pydantic import ValidationError

from alspec.acquisition.conformance import broken_duties


def test_entropies_are_a_plain_loops():
    log_p = torch.from_numpy(np.random.default_rng(0).normal(size=(3, 4, 5, 6))).log_softmax(dim=1)
    expected = []
    for image in log_p.exp().numpy():
        pixels = image.reshape(4, 30).T
        entropy = [-sum(p * np.log(p) for p in pixel) for pixel in pixels]
        by_class = [
            np.mean([pixel[c] * h for pixel, h in zip(pixels, entropy, strict=True)])
            for c in range(4)
        ]
        expected.append([np.mean(entropy), *by_class])
    found = entropies(log_p)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9)
    np.testing.assert_allclose(found[:, 0], found[:, 1:].sum(dim=1))


def test_without_noise_each_class_gets_its_own_images():
    scores = np.zeros((9, 4))
    scores[:, 0] = np.arange(9) / 10 + 0.1
    for c, rows in enumerate([(0, 1), (2, 3), (4, 5)], start=1):
        scores[list(rows), c] = (0.9, 0.8)
    rows = class_balanced(scores, 9, 2 / 3, 1e9, np.random.default_rng(0))
    assert rows == [0, 1, 2, 3, 4, 5, 8, 7, 6]
    assert class_balanced(scores, 5, 2 / 3, 1e9, np.random.default_rng(0)) == [0, 2, 4, 8, 7]


def test_an_image_that_two_classes_want_is_chosen_once():
    scores = np.array([[0.9, 0.9, 0.9], [0.5, 0.1, 0.2], [0.4, 0.2, 0.1]])
    rows = class_balanced(scores, 3, 2 / 3, 1e9, np.random.default_rng(0))
    assert rows == [0, 1, 2]


def test_noise_draws_in_proportion_to_the_score():
    scores = np.array([[0.1, 0.0], [0.2, 0.0], [0.4, 0.0]])
    firsts = [class_balanced(scores, 1, 0, 1.0, np.random.default_rng(s))[0] for s in range(4000)]
    np.testing.assert_allclose(np.bincount(firsts) / 4000, [1 / 7, 2 / 7, 4 / 7], atol=0.03)


def test_noise_falls_with_labels():
    params = ClaspParams()
    betas = [params.beta(labelled, 100 - labelled) for labelled in (0, 25, 50, 90)]
    assert betas == pytest.approx([1, 10, 100, 100])
    with pytest.raises(ValidationError, match="noise falls"):
        ClaspParams(first_beta=5, last_beta=1)


def test_it_keeps_the_contract():
    assert broken_duties(Clasp) == []
