"""s4GAN: its losses against slow references, and whose gradient goes where."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from factories.images import frames_of, ids, tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import nn
from torch.nn import functional as F

from alspec.datasets.base import IGNORE
from alspec.models.inference.decoding import logits_at
from alspec.models.input.batches import Augmentation, Batches, Order
from alspec.models.input.loader import as_inputs
from alspec.models.training.s4gan import (
    Discriminator,
    S4GANSegmentor,
    _Halving,
    feature_matching,
    one_hot,
    self_training,
)
from alspec.spec.model import S4GAN

QUICK = settings(derandomize=True, max_examples=25, deadline=None)
PADDED = Augmentation((40, 56), None, flip=False)


def batch(first: int, *, labelled: bool) -> dict[str, Any]:
    order = Order(tuple(ids(2, first)), 2, 0)
    return as_inputs(Batches(frames_of(), order, PADDED, labelled=labelled)[0])


def data() -> dict[str, Any]:
    return {"labelled": batch(0, labelled=True), "unlabelled": batch(2, labelled=False)}


def s4gan(**weights: float) -> S4GANSegmentor:
    segmentor = tiny().train()
    discriminator = Discriminator(3)
    model = S4GANSegmentor(segmentor, discriminator, S4GAN(**weights)).train()
    for layer in discriminator.modules():
        if isinstance(layer, nn.Dropout2d):
            layer.p = 0.0
    return model


class Spy(OptimWrapper):
    """Keeps the gradients of both networks at the moment a step is taken, and takes none."""

    def __init__(self, module: nn.Module, model: S4GANSegmentor) -> None:
        super().__init__(torch.optim.SGD(list(module.parameters()), lr=0.0))
        self.model = model
        self.seen: list[dict[str, dict[str, torch.Tensor | None]]] = []

    def step(self, **kwargs: Any) -> None:
        self.seen.append(
            {
                role: {
                    name: None if parameter.grad is None else parameter.grad.clone()
                    for name, parameter in getattr(self.model, role).named_parameters()
                }
                for role in ("segmentor", "discriminator")
            }
        )
        super().step(**kwargs)


def stepped(model: S4GANSegmentor) -> tuple[Spy, Spy, dict[str, torch.Tensor]]:
    spy_s, spy_d = Spy(model.segmentor, model), Spy(model.discriminator, model)
    wrappers = OptimWrapperDict(segmentor=spy_s, discriminator=spy_d)
    return spy_s, spy_d, model.train_step(data(), wrappers)


def test_the_discriminator_has_the_paper_s_layers() -> None:
    model = Discriminator(19)
    convolutions = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    channels = [(layer.in_channels, layer.out_channels) for layer in convolutions]
    assert channels == [(22, 64), (64, 128), (128, 256), (256, 512)]
    assert {(layer.kernel_size, layer.stride) for layer in convolutions} == {((4, 4), (2, 2))}
    slopes = [m.negative_slope for m in model.modules() if isinstance(m, nn.LeakyReLU)]
    rates = [m.p for m in model.modules() if isinstance(m, nn.Dropout2d)]
    assert slopes == [0.2] * 4
    assert rates == [0.5] * 3
    assert isinstance(model.features[-1], nn.LeakyReLU), "the matched features are not dropped"
    scores, features = model(torch.zeros(3, 19, 32, 64), torch.zeros(3, 3, 32, 64))
    assert scores.shape == (3,)
    assert features.shape == (3, 512)


def test_the_discriminator_starts_from_weights_of_the_papers_spread() -> None:
    torch.manual_seed(0)
    model = Discriminator(19)
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            expected = (2 / (16 * layer.out_channels)) ** 0.5
            assert float(layer.weight.detach().std()) == pytest.approx(expected, rel=0.05)
            assert abs(float(layer.weight.detach().mean())) < 0.05 * expected
    assert not model.score.bias.any()


@QUICK
@given(seed=st.integers(0, 1000), classes=st.integers(2, 5))
def test_one_hot_is_zero_wherever_the_label_is_ignored(seed: int, classes: int) -> None:
    labels = np.random.default_rng(seed).choice([*range(classes), IGNORE], (2, 3, 4))
    maps = one_hot(torch.from_numpy(labels), classes).numpy()
    for place in np.ndindex(labels.shape):
        b, row, column = place
        expected = [int(labels[place] == label) for label in range(classes)]
        assert maps[b, :, row, column].tolist() == expected


@QUICK
@given(seed=st.integers(0, 1000))
def test_feature_matching_is_the_distance_of_the_means(seed: int) -> None:
    rng = np.random.default_rng(seed)
    real, fake = rng.normal(size=(3, 7)), rng.normal(size=(2, 7))
    columns = zip(real.T, fake.T, strict=True)
    expected = np.mean([abs(sum(a) / 3 - sum(b) / 2) for a, b in columns])
    measured = feature_matching(torch.from_numpy(real), torch.from_numpy(fake))
    assert float(measured) == pytest.approx(expected)


@QUICK
@given(seed=st.integers(0, 1000))
def test_self_training_is_the_cross_entropy_of_accepted_pixels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits, accepted = rng.normal(size=(3, 4, 2, 5)), rng.random(3) < 0.6
    ignored = rng.random((3, 2, 5)) < 0.3
    losses = []
    for b, row, column in np.ndindex(3, 2, 5):
        if accepted[b] and not ignored[b, row, column]:
            pixel = logits[b, :, row, column]
            losses.append(np.log(np.exp(pixel).sum()) - pixel.max())
    arguments = [torch.from_numpy(array) for array in (logits, accepted, ignored)]
    arguments[0].requires_grad_()
    loss = self_training(*arguments)
    assert float(loss.detach()) == pytest.approx(np.mean(losses) if losses else 0.0)
    loss.backward()
    moved = arguments[0].grad.abs().sum(dim=1).numpy() > 0  # type: ignore[union-attr]
    assert not moved[ignored].any(), "padding became a pseudo-label"
    assert not moved[~accepted].any()


def test_ignored_pixels_look_the_same_to_the_discriminator_in_both() -> None:
    model, seen = s4gan(), []
    model.discriminator.register_forward_pre_hook(lambda _m, inputs: seen.append(inputs))
    stepped(model)
    (real, real_images), (fake, fake_images) = seen
    truth = data()["labelled"]["labels"]
    padding = data()["unlabelled"]["labels"]
    for maps, pictures, labels in (
        (real, real_images, truth),
        (fake, fake_images, padding),
    ):
        ignored = labels == IGNORE
        assert ignored.any()
        assert not ignored.all()
        assert (maps.permute(0, 2, 3, 1)[ignored] == 0).all()
        assert (pictures.permute(0, 2, 3, 1)[ignored] == 0).all()
        torch.testing.assert_close(maps.sum(dim=1)[~ignored], torch.ones(int((~ignored).sum())))
    pixels = data()["unlabelled"]["inputs"].float() / 255
    torch.testing.assert_close(fake_images, pixels, atol=1e-6, rtol=1e-5)


def test_no_gradient_reaches_the_discriminator_in_the_segmentor_s_step_nor_the_other_way() -> None:
    spy_s, spy_d, _ = stepped(s4gan(threshold=0.0))
    (in_s,), (in_d,) = spy_s.seen, spy_d.seen
    assert all(grad is None for grad in in_d["segmentor"].values())
    for name, grad in in_s["discriminator"].items():
        assert torch.equal(grad, in_d["discriminator"][name])  # type: ignore[arg-type]
    for grads in (in_s["segmentor"], in_d["discriminator"]):
        assert all(grad is not None for grad in grads.values())
        assert any(grad.abs().max() > 0 for grad in grads.values() if grad is not None)


def test_gradients_are_those_of_the_two_losses_on_their_own() -> None:
    model = s4gan(threshold=0.0, feature_matching=0.3, self_training=0.7)
    reference = copy.deepcopy(model)
    spy_s, spy_d, logs = stepped(model)

    segmentor: Any = reference.segmentor
    labelled = reference.data_preprocessor(data()["labelled"], True)
    unlabelled = reference.data_preprocessor(data()["unlabelled"], True)
    supervised, _ = segmentor.parse_losses(segmentor(**labelled, mode="loss"))
    truth = torch.stack([s.gt_sem_seg.data[0] for s in labelled["data_samples"]])
    padding = torch.stack([s.gt_sem_seg.data[0] for s in unlabelled["data_samples"]]) == IGNORE
    logits = logits_at(segmentor, unlabelled["inputs"], (40, 56))
    maps = logits.softmax(dim=1).masked_fill(padding[:, None], 0)
    real_maps = one_hot(truth, 3).float()
    pictures = [
        (part["inputs"].float() / 255).masked_fill(mask[:, None], 0)
        for part, mask in ((data()["labelled"], truth == IGNORE), (data()["unlabelled"], padding))
    ]
    _, real_features = reference.discriminator(real_maps, pictures[0])
    _, fake_features = reference.discriminator(maps, pictures[1])
    everything = torch.ones(2, dtype=torch.bool)
    loss_s = (
        supervised
        + 0.3 * (real_features.mean(0) - fake_features.mean(0)).abs().mean()
        + 0.7 * self_training(logits, everything, padding)
    )
    expected_s = torch.autograd.grad(loss_s, list(segmentor.parameters()))
    real, _ = reference.discriminator(real_maps, pictures[0])
    fake, _ = reference.discriminator(maps.detach(), pictures[1])
    loss_d = (F.softplus(-real).mean() + F.softplus(fake).mean()) / 2
    expected_d = torch.autograd.grad(loss_d, list(reference.discriminator.parameters()))

    assert float(logs["loss"]) == pytest.approx(float(loss_s.detach()), rel=1e-5)
    assert float(logs["loss_discriminator"]) == pytest.approx(float(loss_d.detach()), rel=1e-5)
    assert float(logs["accepted"]) == 1.0
    for seen, expected in (
        (spy_s.seen[0]["segmentor"], expected_s),
        (spy_d.seen[0]["discriminator"], expected_d),
    ):
        for (name, grad), reference_grad in zip(seen.items(), expected, strict=True):
            torch.testing.assert_close(
                grad, reference_grad, rtol=1e-3, atol=1e-5, msg=lambda m, name=name: f"{name}: {m}"
            )


@pytest.mark.parametrize("size", [(6, 12), (24, 48)])
def test_a_halving_convolution_is_torch_s_own_whatever_way_it_takes(size: tuple[int, int]) -> None:
    layer = _Halving(8, 128).double()
    maps = torch.randn(2, 8, *size, dtype=torch.float64, requires_grad=True)
    reference = F.conv2d(maps, layer.weight, layer.bias, stride=2, padding=1)
    slope = torch.randn_like(reference)
    leaves = [maps, layer.weight, layer.bias]
    expected = torch.autograd.grad(reference, leaves, slope)
    torch.testing.assert_close(layer(maps), reference)
    for seen, wanted in zip(torch.autograd.grad(layer(maps), leaves, slope), expected, strict=True):
        torch.testing.assert_close(seen, wanted)


def test_batch_statistics_move_as_in_two_passes() -> None:
    model = s4gan()
    reference: Any = copy.deepcopy(model.segmentor)
    stepped(model)
    with torch.no_grad():
        for role in ("labelled", "unlabelled"):
            inputs = model.data_preprocessor(data()[role], True)["inputs"]
            logits_at(reference, inputs, (40, 56))
    expected = dict(reference.named_buffers())
    seen = {n: b for n, b in model.segmentor.named_buffers() if n in expected}
    assert any("running_mean" in name for name in seen)
    for name, buffer in seen.items():
        torch.testing.assert_close(buffer, expected[name], msg=lambda m, name=name: f"{name}: {m}")


def test_a_head_with_a_loss_of_its_own_takes_two_passes_and_the_same_gradients() -> None:
    model = s4gan(threshold=0.0)
    own = copy.deepcopy(model)
    head: Any = own.segmentor.decode_head

    class OwnLoss(type(head)):  # type: ignore[misc]
        def loss(self, *args: Any) -> Any:
            return super().loss(*args)

    head.__class__ = OwnLoss
    (joint, _, _), (apart, _, _) = stepped(model), stepped(own)
    for name, grad in apart.seen[0]["segmentor"].items():
        torch.testing.assert_close(joint.seen[0]["segmentor"][name], grad, rtol=1e-3, atol=1e-5)


def test_frozen_parameters_stay_out_of_the_step() -> None:
    model = s4gan()
    frozen: Any = model.segmentor.backbone.conv1
    frozen.requires_grad_(requires_grad=False)
    spy_s, _, _ = stepped(model)
    assert spy_s.seen[0]["segmentor"]["backbone.conv1.weight"] is None


@pytest.mark.parametrize(("threshold", "accepted"), [(0.0, 1.0), (1.0, 0.0)])
def test_the_log_tells_what_the_discriminator_accepts(threshold: float, accepted: float) -> None:
    _, _, logs = stepped(s4gan(threshold=threshold))
    assert float(logs["accepted"]) == accepted
    assert 0 < float(logs["score_real"]) < 1
    assert 0 < float(logs["score_fake"]) < 1
    assert (float(logs["loss_self_training"]) > 0) == bool(accepted)
