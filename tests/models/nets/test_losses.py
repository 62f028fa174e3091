"""Losses that count on the device: MMSegmentation's numbers to the bit, and no waiting."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from factories.images import frames_of, ids, tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmseg.models.losses import accuracy
from mmseg.models.losses.cross_entropy_loss import cross_entropy
from torch.utils._python_dispatch import TorchDispatchMode

from alspec.datasets.base import IGNORE
from alspec.models.input.batches import Augmentation, Batches, Order
from alspec.models.input.loader import as_inputs
from alspec.models.nets.losses import mean_cross_entropy, pixel_accuracy
from alspec.models.training.s4gan import Discriminator, S4GANSegmentor
from alspec.spec.model import S4GAN

QUICK = settings(derandomize=True, max_examples=40, deadline=None)

WAITING = {"_local_scalar_dense", "nonzero", "masked_select"}
"""Operations of aten whose result's value or size the program has to be told."""


class Waits(TorchDispatchMode):
    """Names of operations that hold a GPU up."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name.removeprefix("aten::")
        by_mask = name == "index" and any(
            index is not None and index.dtype == torch.bool for index in args[1]
        )
        if name in WAITING or by_mask:
            self.seen.append(name)
        return func(*args, **(kwargs or {}))


@QUICK
@given(seed=st.integers(0, 10_000), ignored=st.sampled_from([0.0, 0.3, 0.95, 1.0]))
def test_the_numbers_are_mmsegmentation_s_to_the_bit(seed: int, ignored: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 5, 7, 9, generator=generator)
    labels = torch.randint(0, 5, (2, 7, 9), generator=generator)
    labels[torch.rand(labels.shape, generator=generator) < ignored] = IGNORE
    theirs = cross_entropy(logits, labels, ignore_index=IGNORE, avg_non_ignore=True)
    assert torch.equal(mean_cross_entropy(logits, labels, IGNORE), theirs)
    assert torch.equal(
        pixel_accuracy(logits, labels, IGNORE), accuracy(logits, labels, ignore_index=IGNORE)
    )


def one_batch() -> Any:
    order = Order(tuple(ids(2, 0)), 2, 0)
    padded = Augmentation((40, 56), None, flip=False)
    return as_inputs(Batches(frames_of(), order, padded, labelled=True)[0])


def test_a_semi_supervised_step_looks_once_at_what_was_accepted_and_on_a_processor_only() -> None:
    model = S4GANSegmentor(tiny().train(), Discriminator(3), S4GAN()).train()
    steps = OptimWrapperDict(
        segmentor=OptimWrapper(torch.optim.SGD(model.segmentor.parameters(), lr=0.1)),
        discriminator=OptimWrapper(torch.optim.SGD(model.discriminator.parameters(), lr=0.1)),
    )
    with Waits() as waits:
        model.train_step({"labelled": one_batch(), "unlabelled": one_batch()}, steps)
    assert waits.seen == ["_local_scalar_dense"]


def test_a_training_step_waits_for_nothing() -> None:
    model: Any = tiny().train()
    step = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    with Waits() as waits:
        model.train_step(one_batch(), step)
    assert waits.seen == []


@pytest.mark.parametrize(
    ("class_weight", "avg_non_ignore"),
    [([0.5, 1.0, 2.0], True), ([0.5, 1.0, 2.0], False), (None, False)],
)
def test_a_loss_averaged_otherwise_stays_mmsegmentation_s(
    class_weight: list[float] | None, avg_non_ignore: bool
) -> None:
    loss: Any = tiny().decode_head.loss_decode
    loss.class_weight, loss.avg_non_ignore = class_weight, avg_non_ignore
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 4, 6, generator=generator)
    labels = torch.randint(0, 3, (2, 4, 6), generator=generator)
    expected = cross_entropy(
        logits,
        labels,
        class_weight=torch.tensor(class_weight) if class_weight else None,
        ignore_index=IGNORE,
        avg_non_ignore=avg_non_ignore,
    )
    assert torch.equal(loss(logits, labels, ignore_index=IGNORE), expected)
