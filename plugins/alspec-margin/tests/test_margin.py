"""Margin against a plain NumPy reference, and against the duties of an acquisition function."""

import numpy as np
import pytest
import torch
from alspec_margin import Margin, mean_margin

from alspec.acquisition.base import Need, Params
from alspec.acquisition.conformance import SyntheticOutputs, check_acquisition


def reference(log_p):
    """Pixel by pixel."""
    scores = []
    for image in np.exp(log_p):
        classes, height, width = image.shape
        gaps = []
        for pixel in image.reshape(classes, height * width).T:
            *_, second, first = sorted(pixel)
            gaps.append(first - second)
        scores.append(sum(gaps) / len(gaps))
    return np.array(scores)


@pytest.mark.parametrize("classes", [2, 3, 19])
@pytest.mark.parametrize("scale", [0.1, 5.0])
def test_mean_margin_is_the_reference(classes, scale):
    logits = torch.from_numpy(np.random.default_rng(classes).normal(0, scale, (4, classes, 5, 7)))
    log_p = logits.log_softmax(dim=1)
    np.testing.assert_allclose(mean_margin(log_p).numpy(), reference(log_p.numpy()), atol=1e-6)


def test_certain_images_have_margin_one_and_undecided_ones_none():
    certain = torch.full((1, 3, 2, 2), -1e4)
    certain[:, 1] = 0.0
    undecided = torch.full((1, 3, 2, 2), float(np.log(1 / 3)))
    assert mean_margin(torch.cat([certain, undecided])).tolist() == pytest.approx([1.0, 0.0])


def test_the_least_certain_image_is_scored_highest():
    outputs = SyntheticOutputs(frozenset({Need.PROBABILITIES}))
    scores = Margin(Params()).score(outputs)
    assert scores.argmax() == 2  # logits all equal
    assert scores.argmin() == 1  # one class far above the rest


def test_one_class_leaves_no_margin():
    with pytest.raises(ValueError, match="at least 2 classes"):
        mean_margin(torch.zeros(1, 1, 2, 2))


def test_the_installed_plugin_keeps_its_duties():
    assert check_acquisition("margin") == []
