"""A whole training: exact, repeatable, honest when it diverges, clean behind itself."""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from factories.images import frames_of, ids
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope
from mmengine.visualization import Visualizer
from torch import nn

from alspec.errors import StepFailed
from alspec.models.nets.build import build_segmentor
from alspec.models.nets.config import model_config
from alspec.models.training import fit as fit_module
from alspec.models.training.fit import Seeds, Trained, fit, iterations_of
from alspec.models.training.optimizers import Recipe
from alspec.spec.model import S4GAN, Training

CPU = torch.device("cpu")
SEEDS = Seeds(1, 2, 3, 4, 5)
QUICK = Training(epochs=2, batch_size=2, lr=0.01, crop=(24, 40))


def build() -> nn.Module:
    return build_segmentor(model_config("deeplabv3plus_tiny", 3), mc_dropout=True)


def trained(
    s4gan: S4GAN | None = None,
    seeds: Seeds = SEEDS,
    training: Training = QUICK,
    labelled: int = 4,
    unlabelled: int = 3,
) -> Trained:
    return fit(
        build, frames_of(), ids(labelled), ids(unlabelled, 10), training, s4gan, seeds, CPU,
        lambda done, total: None,
    )  # fmt: skip


def weights(result: Trained) -> Mapping[str, torch.Tensor]:
    return result.segmentor.state_dict()


def same(first: Trained, second: Trained) -> bool:
    pairs = zip(weights(first).values(), weights(second).values(), strict=True)
    return all(torch.equal(*pair) for pair in pairs)


@pytest.fixture(scope="module")
def supervised() -> Trained:
    return trained()


@pytest.fixture(scope="module")
def semi_supervised() -> Trained:
    return trained(S4GAN(threshold=0.4))


def test_the_same_seeds_give_the_same_bits(supervised: Trained) -> None:
    torch.manual_seed(99)
    assert same(supervised, trained())


def test_s4gan_repeats_bit_for_bit_too(semi_supervised: Trained, supervised: Trained) -> None:
    assert same(semi_supervised, trained(S4GAN(threshold=0.4)))
    assert not same(semi_supervised, supervised)


@pytest.mark.parametrize("role", ["init", "order", "dropout"])
def test_every_seed_counts(supervised: Trained, role: str) -> None:
    assert not same(supervised, trained(seeds=dataclasses.replace(SEEDS, **{role: 77})))


def test_s4gan_with_both_weights_zero_is_supervised_training(supervised: Trained) -> None:
    without = trained(S4GAN(feature_matching=0, self_training=0))
    assert same(without, supervised)
    assert without.epochs == supervised.epochs


def test_what_is_trained_comes_back_ready(supervised: Trained) -> None:
    assert not any(module.training for module in supervised.segmentor.modules())
    assert supervised.iterations == 4
    assert supervised.parameters > 800_000
    assert [epoch["epoch"] for epoch in supervised.epochs] == [1, 2]
    assert all(epoch["loss"] > 0 for epoch in supervised.epochs)


def test_training_learns() -> None:
    longer = trained(training=Training(epochs=12, batch_size=2, lr=0.02))
    assert longer.epochs[-1]["loss"] < 0.5 * longer.epochs[0]["loss"]


def test_the_log_holds_the_discriminator_s_scores(semi_supervised: Trained) -> None:
    for epoch in semi_supervised.epochs:
        assert 0 <= epoch["accepted"] <= 1
        assert 0 < epoch["score_real"] < 1
        assert 0 < epoch["score_fake"] < 1
        assert epoch["loss_discriminator"] > 0


@pytest.mark.parametrize("s4gan", [None, S4GAN()])
def test_a_labelled_set_smaller_than_a_batch_works(s4gan: S4GAN | None) -> None:
    training = Training(epochs=3, batch_size=4, lr=0.01)
    result = trained(s4gan, training=training, labelled=1, unlabelled=0)
    assert result.iterations == 1
    assert [epoch["epoch"] for epoch in result.epochs] == [3]


def test_epochs_in_the_log_are_epochs_over_the_labelled_set() -> None:
    training = Training(epochs=4, batch_size=2, lr=0.01)
    result = trained(training=training, labelled=5)
    assert result.iterations == iterations_of(5, training) == 10
    assert [epoch["epoch"] for epoch in result.epochs] == [1, 2, 3, 4]
    few = trained(training=Training(epochs=5, batch_size=4, lr=0.01), labelled=2)
    assert [epoch["epoch"] for epoch in few.epochs] == [2, 5]


@pytest.mark.parametrize("s4gan", [None, S4GAN()])
def test_a_diverged_training_fails_and_names_the_loss(s4gan: S4GAN | None) -> None:
    training = Training(epochs=8, batch_size=2, lr=1e30)
    with pytest.raises(StepFailed, match=r"decode\.loss_ce.*Lower training\.lr"):
        trained(s4gan, training=training)
    assert not MessageHub.check_instance_created("alspec-training")


class Rates:
    """The learning rates at each step of an optimizer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: dict[str, list[list[float]]] = {"SGD": [], "Adam": []}
        original = fit_module.OptimWrapper.step
        self.last: Any = None

        def step(wrapper: Any, **kwargs: Any) -> None:
            optimizer = wrapper.optimizer
            rates = [group["lr"] for group in optimizer.param_groups]
            self.seen[type(optimizer).__name__].append(rates)
            self.last = optimizer
            original(wrapper, **kwargs)

        monkeypatch.setattr(fit_module.OptimWrapper, "step", step)


def test_rates_follow_the_poly_schedule_towards_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = Rates(monkeypatch)
    training = Training(epochs=3, batch_size=2, lr=0.01, head_lr_factor=7, power=0.9)
    result = trained(S4GAN(discriminator_lr=1e-4), training=training)
    fractions = [(1 - step / 6) ** 0.9 for step in range(6)]
    assert [rate for rate, _ in rates.seen["SGD"]] == pytest.approx([0.01 * f for f in fractions])
    assert [rate for _, rate in rates.seen["SGD"]] == pytest.approx([0.07 * f for f in fractions])
    assert [epoch["lr"] for epoch in result.epochs] == pytest.approx(
        [0.01 * fractions[last] for last in (1, 3, 5)]
    )
    assert [rate for (rate,) in rates.seen["Adam"]] == pytest.approx([1e-4 * f for f in fractions])


def test_every_parameter_is_trained_once_the_head_s_at_their_own_rate() -> None:
    model: Any = build()
    wrapper = Recipe(QUICK).optimizer(model, torch.device("cpu"), bfloat16=False)
    backbone, head = wrapper.optimizer.param_groups
    assert {id(p) for p in head["params"]} == {id(p) for p in model.decode_head.parameters()}
    assert {id(p) for p in backbone["params"]} == {id(p) for p in model.backbone.parameters()}
    assert head["lr"] == pytest.approx(10 * backbone["lr"])
    for group in (backbone, head):
        assert (group["momentum"], group["weight_decay"]) == (0.9, 5e-4)


def test_progress_counts_every_iteration() -> None:
    told: list[tuple[int, int]] = []
    fit(
        build, frames_of(), ids(4), [], QUICK, None, SEEDS, CPU,
        lambda done, total: told.append((done, total)),
    )  # fmt: skip
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_nothing_of_mmengine_grows_from_training_to_training(supervised: Trained) -> None:
    kinds = (MMLogger, MessageHub, DefaultScope, Visualizer)

    def alive() -> list[int]:
        gc.collect()
        return [sum(issubclass(type(one), kind) for one in gc.get_objects()) for kind in kinds]

    before = alive()
    assert supervised.iterations
    for _ in range(2):
        trained(S4GAN())
    assert alive() == before
    assert not any(kind.check_instance_created("alspec-training") for kind in kinds)


def test_the_model_stays_on_the_device_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmengine.runner.runner.get_device", lambda: "meta")
    result = trained(S4GAN())
    assert {tensor.device for tensor in weights(result).values()} == {CPU}


def test_unlabelled_images_lend_their_pixels_alone() -> None:
    frames = frames_of()
    fit(build, frames, ids(2), ids(3, 10), QUICK, S4GAN(), SEEDS, CPU, lambda done, total: None)
    reads = frames.dataset.reads  # type: ignore[attr-defined]
    assert {image for what, image in reads if what == "mask"} == set(ids(2))
    assert {image for what, image in reads if what == "image"} > set(ids(2))
