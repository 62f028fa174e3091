"""Batches made on the device are those made from files, byte for byte."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from factories.images import compat, frames_of, ids
from mmengine.structures import PixelData
from mmseg.models import SegDataPreProcessor
from mmseg.structures import SegDataSample

from alspec.datasets.base import IGNORE
from alspec.models.input import gpu_batches as resident
from alspec.models.input.augmentation import Augmentation
from alspec.models.input.batches import Batches, FromPosition, Order
from alspec.models.input.gpu_batches import ResidentBatches, bytes_of, fits
from alspec.models.input.loader import Feed, as_inputs
from alspec.models.nets.build import build_segmentor
from alspec.models.nets.config import model_config
from alspec.models.nets.normalisation import IMAGENET_MEAN, IMAGENET_STD

assert compat
CPU = torch.device("cpu")
BATCHES = 9
CROPS = [None, (24, 40), (32, 48), (40, 30), (20, 60), (50, 70)]


def source(
    crop: tuple[int, int] | None = None,
    *,
    flip: bool = True,
    colour: bool = False,
    labelled: bool = True,
    scale: tuple[float, float] | None = None,
) -> Batches:
    frames = frames_of(masks=labelled)
    augmentation = Augmentation(crop, scale, flip, colour, padding=(124, 0, 255))
    return Batches(frames, Order(tuple(ids(7)), 4, 11), augmentation, labelled=labelled)


def same(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return one is other
    return one.dtype == other.dtype and torch.equal(one.cpu(), other.cpu())


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("flip", [True, False])
@pytest.mark.parametrize("crop", CROPS)
def test_the_same_bytes(crop: tuple[int, int] | None, flip: bool, labelled: bool) -> None:
    plain = source(crop, flip=flip, labelled=labelled)
    there = ResidentBatches(source(crop, flip=flip, labelled=labelled), CPU)
    for number in range(BATCHES):
        one, other = plain[number], there[number]
        assert same(one.images, other.images)
        assert same(one.labels, other.labels)


def test_colours_come_along() -> None:
    plain, there = source(colour=True), ResidentBatches(source(colour=True), CPU)
    for number in range(BATCHES):
        assert same(plain[number].colours, there[number].colours)
        assert same(plain[number].images, there[number].images)


def test_an_image_is_sent_once_and_when_it_is_needed() -> None:
    feed = source()
    there = ResidentBatches(feed, CPU)
    reads: Any = feed.frames.dataset.reads  # type: ignore[attr-defined]
    there[0]
    assert len(reads) == 2 * len(set(feed.order[0].images))
    feed.frames._cached.clear()
    for number in range(BATCHES):
        there[number]
    assert set(Counter(reads).values()) == {1}


def test_images_are_resident_where_they_take_a_part_of_a_gpu_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gpu, labelled, unlabelled = torch.device("cuda"), source(), source(labelled=False)
    assert bytes_of(labelled) == 7 * 32 * 48 * 4
    assert bytes_of(unlabelled) == 7 * 32 * 48 * 3
    needed = bytes_of(labelled) + bytes_of(unlabelled)
    for free, answer in ((4 * needed, True), (4 * needed - 4, False)):
        monkeypatch.setattr(resident.torch.cuda, "mem_get_info", lambda device, f=free: (f, f))
        assert fits([labelled, unlabelled], gpu) == answer
    assert fits([labelled], gpu)
    assert not fits([labelled], CPU)
    assert not fits([source(scale=(0.5, 1.5))], gpu)
    labelled.frames.size = None
    assert not fits([labelled], gpu)


def test_a_whole_batch_is_normalised_as_mmsegmentation_does_it_image_by_image() -> None:
    model: Any = build_segmentor(model_config("deeplabv3plus_tiny", 3), mc_dropout=False)
    batch = source((50, 70))[0]
    stock = SegDataPreProcessor(
        IMAGENET_MEAN, IMAGENET_STD, size_divisor=1, pad_val=0, seg_pad_val=IGNORE
    )
    samples = [
        SegDataSample(gt_sem_seg=PixelData(data=label[None].long()), metainfo={})
        for label in batch.labels
    ]
    lists = {"inputs": list(batch.images), "data_samples": samples}
    theirs, ours = stock(lists, True), model.data_preprocessor(as_inputs(batch), True)
    assert torch.equal(theirs["inputs"], ours["inputs"])
    for one, other in zip(theirs["data_samples"], ours["data_samples"], strict=True):
        assert torch.equal(one.gt_sem_seg.data, other.gt_sem_seg.data)
        assert tuple(one.img_shape) == tuple(other.img_shape)
        assert tuple(one.pad_shape) == tuple(other.pad_shape)
    assert torch.equal(model.data_preprocessor(lists, False)["inputs"], ours["inputs"])


@pytest.mark.gpu
@pytest.mark.parametrize("crop", CROPS)
@pytest.mark.parametrize("free", [0, 1 << 40])
def test_on_a_gpu(monkeypatch: pytest.MonkeyPatch, crop: tuple[int, int] | None, free: int) -> None:
    """Resident or sent batch by batch, the net sees what it sees on a CPU."""
    gpu = torch.device("cuda")
    monkeypatch.setattr(resident.torch.cuda, "mem_get_info", lambda device: (free, free))
    model: Any = build_segmentor(model_config("deeplabv3plus_tiny", 3), mc_dropout=False)
    seen = {}
    for device in (CPU, gpu):
        model.to(device)
        feed = Feed(source(crop, colour=True), source(crop, labelled=False))
        loader = feed.loader(FromPosition(0, BATCHES), device, workers=0)
        seen[device] = [model.data_preprocessor(batch["labelled"], True) for batch in loader]
    for one, other in zip(seen[CPU], seen[gpu], strict=True):
        assert other["inputs"].is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(one["inputs"], other["inputs"].cpu(), atol=0.05, rtol=0)
        for ours, theirs in zip(one["data_samples"], other["data_samples"], strict=True):
            assert same(ours.gt_sem_seg.data, theirs.gt_sem_seg.data)
