"""Order, augmentation and caching of what a model is fed."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
import torch
from factories.images import MadeImages, frames_of, ids
from hypothesis import given, settings
from hypothesis import strategies as st

from alspec.datasets.base import IGNORE
from alspec.models.input import pixel_source as frames_module
from alspec.models.input.augmentation import moved
from alspec.models.input.batches import (
    Augmentation,
    Batches,
    FromPosition,
    Order,
    PixelSource,
    in_batches,
)
from alspec.spec.model import Training

QUICK = settings(derandomize=True, max_examples=30, deadline=None)


@QUICK
@given(n=st.integers(1, 13), batch_size=st.integers(2, 9), seed=st.integers(0, 2**63 - 1))
def test_every_epoch_is_a_permutation_and_every_batch_is_full(
    n: int, batch_size: int, seed: int
) -> None:
    order = Order(tuple(ids(n)), batch_size, seed)
    positions = [order[batch] for batch in range(3 * n)]
    assert {len(position.images) for position in positions} == {batch_size}
    stream = list(itertools.chain.from_iterable(position.images for position in positions))
    for start in range(0, len(stream) - n + 1, n):
        assert sorted(stream[start : start + n]) == sorted(ids(n))


@QUICK
@given(start=st.integers(0, 40), seed=st.integers(0, 100))
def test_a_batch_depends_on_its_number_alone(start: int, seed: int) -> None:
    whole = Order(tuple(ids(7)), 3, seed)
    resumed = Order(tuple(ids(7)), 3, seed)
    tail = [resumed[batch] for batch in FromPosition(start, 41)]
    assert tail == [whole[batch] for batch in range(41)][start:]
    assert len(FromPosition(start, 41)) == len(tail)


def test_epochs_and_seeds_differ() -> None:
    order, other = (Order(tuple(ids(30)), 30, seed) for seed in (0, 1))
    assert order[0].images != order[1].images
    assert order[0].images != other[0].images
    assert order[0].seed != order[1].seed


def coordinates(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """An image whose pixels say where they are, and a mask that says the same."""
    rows, columns = np.mgrid[1 : height + 1, 1 : width + 1].astype(np.uint8)
    return np.stack([rows, columns, rows + columns], axis=2), rows ^ columns


@QUICK
@given(
    size=st.tuples(st.integers(3, 20), st.integers(3, 20)),
    crop=st.tuples(st.integers(2, 25), st.integers(2, 25)),
    flip=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_image_and_mask_move_together(
    size: tuple[int, int], crop: tuple[int, int], flip: bool, seed: int
) -> None:
    image, mask = coordinates(*size)
    draw = Augmentation(crop, None, flip).draw(size, np.random.default_rng(seed))
    cut, labels = moved(image, mask, draw, (0, 200, 90))
    assert cut.shape == (*crop, 3)
    assert labels.shape == crop
    inside = cut[..., 0] > 0
    assert (labels[inside] == cut[inside][:, 0] ^ cut[inside][:, 1]).all()
    assert (labels[~inside] == IGNORE).all()
    assert (cut[~inside] == (0, 200, 90)).all()
    assert inside.sum() == min(crop[0], size[0]) * min(crop[1], size[1])


def test_crops_reach_every_corner_and_flips_happen_half_the_time() -> None:
    image, mask = coordinates(6, 6)
    rng = np.random.default_rng(0)
    augment = Augmentation((4, 4), None, flip=True)
    cuts = [moved(image, mask, augment.draw((6, 6), rng))[0] for _ in range(200)]
    flipped = [bool(cut[0, 0, 1] > cut[0, -1, 1]) for cut in cuts]
    corners = {(int(cut[0, 0, 0]), int(cut[0, :, 1].min())) for cut in cuts}
    assert corners == set(itertools.product((1, 2, 3), repeat=2))
    assert 70 < sum(flipped) < 130


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_scaled_images_keep_their_size_where_no_crop_is_asked_for(factor: float) -> None:
    image, mask = np.full((8, 12, 3), 90, np.uint8), np.ones((8, 12), np.uint8)
    rng = np.random.default_rng(0)
    draw = Augmentation(None, (factor, factor), flip=False).draw((8, 12), rng)
    scaled, labels = moved(image, mask, draw)
    assert scaled.shape == (8, 12, 3)
    assert ((labels == 1) == (scaled[..., 0] == 90)).all()
    expected = min(1.0, factor) ** 2 * labels.size
    assert (labels == 1).sum() == expected


def test_scale_in_steps_draws_each_factor_as_often_the_highest_included() -> None:
    augment = Augmentation((4, 4), (0.5, 1.6), flip=False, scale_step=0.1)
    rng = np.random.default_rng(0)
    heights = [augment.draw((100, 100), rng).scaled for _ in range(2400)]
    counts = Counter(scaled[0] for scaled in heights if scaled)
    assert sorted(counts) == [*range(50, 161, 10)]
    assert all(140 < count < 260 for count in counts.values())


def test_random_scale_trains_in_batches_without_a_crop() -> None:
    training = Training(scale=(0.5, 2.0), batch_size=4)
    order = Order(tuple(ids(4)), 4, 0)
    batch = Batches(frames_of(), order, Augmentation.of(training, (0, 0, 0)), labelled=True)[0]
    assert batch.images.shape == (4, 3, 32, 48)


def test_batches_are_the_same_at_any_time() -> None:
    training = Training(crop=(16, 16), scale=(0.5, 2.0), batch_size=4)
    order = Order(tuple(ids(5)), 4, 3)
    first, second = (
        Batches(frames_of(), order, Augmentation.of(training, (0, 0, 0)), labelled=True)
        for _ in range(2)
    )
    late = first[9]
    for number in range(9):
        first[number]
    assert torch.equal(late.images, second[9].images)
    assert torch.equal(late.labels, second[9].labels)
    assert not torch.equal(second[8].images, late.images)


def test_unlabelled_batches_never_read_a_mask() -> None:
    frames = frames_of(masks=False)
    order = Order(tuple(ids(3)), 4, 0)
    batch = Batches(frames, order, Augmentation((40, 60), None, True), labelled=False)[0]
    padding = batch.labels == IGNORE
    assert (batch.labels[~padding] == 0).all()
    assert (~padding).sum() == 4 * 32 * 48
    assert (batch.images.amax(dim=1)[padding] == 0).all()
    scored = list(in_batches(frames, ids(3), 2))
    assert [chosen for chosen, _ in scored] == [("0", "1"), ("2",)]


def test_whole_images_come_in_order_with_their_masks() -> None:
    frames = frames_of()
    (chosen, batch), *_ = in_batches(frames, ["2", "0"], 8, with_masks=True)  # type: ignore[list-item]
    assert chosen == ("2", "0")
    assert np.array_equal(batch.images[0].permute(1, 2, 0), frames.image(chosen[0]))
    assert np.array_equal(batch.labels[1], frames.mask(chosen[1]))


def test_an_image_is_read_once_and_resized() -> None:
    dataset = MadeImages((64, 96))
    frames = PixelSource(dataset, (32, 48))  # type: ignore[arg-type]
    (image,) = ids(1)
    for _ in range(3):
        assert frames.image(image).shape == (32, 48, 3)
        assert frames.mask(image).shape == (32, 48)
    assert dataset.reads == [("image", image), ("mask", image)]


def test_what_does_not_fit_is_dropped_longest_unused_first(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = MadeImages()
    frames = PixelSource(dataset, dataset.size)  # type: ignore[arg-type]
    monkeypatch.setattr(frames_module, "CACHE_BYTES", 2 * 32 * 48 * 3)
    for image in ("0", "1", "0", "2", "0", "1"):
        frames.image(image)  # type: ignore[arg-type]
    assert [image for _, image in dataset.reads] == ["0", "1", "2", "1"]
