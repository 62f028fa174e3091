"""Images decoded ahead: the same bytes, each once, a bounded number, errors where asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from factories.images import MadeImages, frames_of, ids, tiny

from alspec.datasets.base import ImageId
from alspec.errors import DataError
from alspec.models.input.batches import in_batches, wanted_of
from alspec.models.input.image_cache import ImageCache
from alspec.models.input.pixel_source import PixelSource
from alspec.models.input.prefetch import WINDOW, Prefetcher
from alspec.models.training.fit import Seeds, fit
from alspec.spec.model import S4GAN, Training

SIZE = (32, 48)


def frames_with(readers: int, cache: ImageCache | None = None) -> tuple[PixelSource, MadeImages]:
    made = MadeImages(SIZE)
    return PixelSource(made, SIZE, cache, readers), made  # type: ignore[arg-type]


def never(_key: object) -> bool:
    return False


@pytest.mark.parametrize("readers", [1, 3])
@pytest.mark.parametrize("on_disk", [False, True])
def test_batches_are_the_same_bytes_and_each_file_is_read_once(
    readers: int, on_disk: bool, tmp_path: Path
) -> None:
    images = ids(40)
    cache = ImageCache(tmp_path, images, SIZE) if on_disk else None
    frames, made = frames_with(readers, cache)
    expected = list(in_batches(frames_of(SIZE), images, 8, with_masks=True))
    for _ in range(2):
        seen = list(in_batches(frames, images, 8, with_masks=True))
        for (some, batch), (others, reference) in zip(seen, expected, strict=True):
            assert some == others
            assert torch.equal(batch.images, reference.images)
            assert torch.equal(batch.labels, reference.labels)
    assert sorted(made.reads) == sorted(wanted_of(images, with_masks=True))


@pytest.mark.parametrize("s4gan", [None, S4GAN()])
def test_a_training_s_bits_do_not_depend_on_the_readers(s4gan: S4GAN | None) -> None:
    weights = []
    for readers in (0, 2):
        frames, made = frames_with(readers)
        training = Training(epochs=3, batch_size=2, lr=0.01)
        seeds = Seeds(0, 1, 2, 3, 4)
        device = torch.device("cpu")
        trained = fit(
            tiny, frames, ids(4), ids(5, 4), training, s4gan, seeds, device, lambda _a, _b: None
        )
        weights.append(trained.segmentor.state_dict())
        assert len(made.reads) == len(set(made.reads))
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_no_more_is_made_than_a_window_ahead_and_no_more_is_looked_at() -> None:
    made, looked = [], []

    def wanted() -> Iterator[int]:
        for key in range(1000):
            looked.append(key)
            yield key

    with Prefetcher(made.append, wanted(), 3, never) as ahead:
        for key in range(5):
            ahead.take(key)
    assert set(range(5)) <= set(made) <= set(looked)
    assert looked == list(range(3 * WINDOW + 4))


def test_what_is_there_is_not_made_and_what_was_not_wanted_is_left_to_the_taker() -> None:
    made: list[int] = []
    with Prefetcher(
        lambda key: made.append(key) or key, range(6), 2, lambda key: key % 2 == 0
    ) as ahead:
        assert ahead.take(-1) is None
        assert [ahead.take(key) for key in range(6)] == [None, 1, None, 3, None, 5]
    assert sorted(made) == [1, 3, 5]


class Damaged(MadeImages):
    """One image cannot be read."""

    def read_image(self, image: ImageId) -> Any:
        if image == "7":
            raise DataError.at("7.png", "it is damaged")
        return super().read_image(image)


def test_an_image_that_cannot_be_read_fails_where_it_is_asked_for() -> None:
    frames = PixelSource(Damaged(SIZE), SIZE, None, 2)  # type: ignore[arg-type]
    batches = in_batches(frames, ids(12), 4)
    images, _ = next(batches)
    assert list(images) == ids(4)
    with pytest.raises(DataError, match=r"7\.png"):
        next(batches)
    assert np.array_equal(frames.image(ImageId("0")), frames_of(SIZE).image(ImageId("0")))


def test_readers_end_with_whoever_reads() -> None:
    frames, made = frames_with(2)
    batches = in_batches(frames, ids(500), 4)
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    assert len(made.reads) <= 5 + 2 * WINDOW
    assert frames._ahead is None
