"""Training input against MMSegmentation's stock pipeline, and the training loop against the net.

`input`: images a second as the net takes them, batches of 8, 256x512, from PNG frames of
1,920x1,208, flipped at random; ours with the image cache warm. `input-loop`: the net's own forward,
backward and optimizer step on a tensor that is there already, over an iteration of a training.
`input-ahead`: entropies of frames that were never decoded, with a thread that decodes ahead.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import torch
from figure import Figure
from PIL import Image

from alspec.acquisition.entropy import Entropy
from alspec.datasets.base import Split
from alspec.datasets.kinds.folder import Folder, Spec
from alspec.datasets.synthetic.render import view
from alspec.models.inference.batchnorm_folding import folded
from alspec.models.inference.outputs import outputs_of
from alspec.models.input.augmentation import Augmentation
from alspec.models.input.batches import Batches, FromPosition, Order, PixelSource, in_batches
from alspec.models.input.image_cache import ImageCache
from alspec.models.input.loader import Feed
from alspec.models.nets.build import build_segmentor, compat
from alspec.models.nets.config import model_config
from alspec.models.nets.normalisation import IMAGENET_MEAN, IMAGENET_STD
from alspec.models.training.fit import Seeds, fit
from alspec.spec.model import Training

from mmengine.dataset import pseudo_collate  # isort: skip
from mmseg.datasets import BaseSegDataset
from mmseg.models import SegDataPreProcessor
from torch.utils.data import DataLoader

assert compat
FRAMES = 48
FRAME = (1208, 1920)
SIZE = (256, 512)
BATCH = 8
CPU = torch.device("cpu")
CLASSES = tuple(f"class{number}" for number in range(19))


def figures() -> Iterator[Figure]:
    """All ratios."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        draw(Path(folder) / "tree")
        yield from input_figures(Path(folder))
        yield ahead_figure(Path(folder))
    yield loop_figure("deeplabv3plus_small", (128, 256), 4)


def draw(root: Path) -> None:
    """Street frames with the noise of a camera, as PNG."""
    rng = np.random.default_rng(0)
    for folder in ("images", "masks", "val", "val_masks"):
        (root / folder).mkdir(parents=True)
    for number in range(FRAMES + 1):
        image, mask = view(0, 0, 0, number, FRAME)
        noise = rng.normal(0, 4, FRAME)[..., None]
        photo = np.clip(image + noise, 0, 255).astype(np.uint8)
        images, masks = ("images", "masks") if number < FRAMES else ("val", "val_masks")
        Image.fromarray(photo).save(root / images / f"{number:03d}.png", compress_level=6)
        Image.fromarray(mask).save(root / masks / f"{number:03d}.png")


def input_figures(folder: Path) -> Iterator[Figure]:
    """The same files, the same number of processes: this one, then two of a loader."""
    spec = photos(folder)
    images = tuple(frame.id for frame in Folder(spec).frames(Split.POOL))
    augmentation = Augmentation(None, None, flip=True)

    def ours(workers: int, epochs: int) -> float:
        dataset = Folder(spec)
        frames = PixelSource(dataset, SIZE, ImageCache.of(folder / "images", dataset, SIZE))
        feed = Feed(Batches(frames, Order(images, BATCH, 0), augmentation, labelled=True))
        batches = epochs * FRAMES // BATCH
        loader = feed.loader(FromPosition(0, batches), CPU, workers)
        preprocess = build_segmentor(
            model_config("deeplabv3plus_tiny", len(CLASSES)), mc_dropout=False
        ).data_preprocessor
        return rate(loader, preprocess)

    cold = ours(0, 1)
    for workers, name in ((0, "input"), (2, "input-workers")):
        stock = rate(stock_loader(folder / "tree", workers), stock_preprocessor())
        warm = max(ours(workers, 20) for _ in range(3))
        told = f"{warm:,.0f} against {stock:,.1f} images a second, {workers} loader processes"
        first = f"; {cold:,.1f} in the first epoch" if not workers else ""
        yield Figure(name, warm / stock, 20.0 if not workers else 1.0, told + first)


def photos(folder: Path) -> Spec:
    """The frames as a dataset."""
    return Spec.model_validate(
        {
            "name": "photos", "kind": "folder", "root": str(folder / "tree"), "classes": CLASSES,
            "images": "images", "masks": "masks", "image_size": SIZE,
            "val": {"images": "val", "masks": "val_masks"},
        }
    )  # fmt: skip


@torch.inference_mode()
def ahead_figure(folder: Path) -> Figure:
    """Scoring a pool for the first time, by turns without and with a reader beside it."""
    name = "deeplabv3plus_small"
    config = model_config(name, len(CLASSES))
    model = folded(lambda: build_segmentor(config, mc_dropout=False).eval())
    dataset = Folder(photos(folder))
    images = [frame.id for frame in dataset.frames(Split.POOL)]
    entropy = Entropy(Entropy.Params())

    def scored(readers: int, number: int) -> float:
        cache = ImageCache.of(folder / f"ahead-{readers}-{number}", dataset, SIZE)
        frames = PixelSource(dataset, SIZE, cache, readers)
        started = time.perf_counter()
        for _, batch in in_batches(frames, images, BATCH):
            entropy.score(outputs_of(model, batch.images, CPU))
        return len(images) / (time.perf_counter() - started)

    turns = [(scored(0, number), scored(1, number)) for number in range(3)]
    alone, beside = (max(rates) for rates in zip(*turns, strict=True))
    told = f"{name}: {beside:.2f} images a second with a reader, {alone:.2f} without"
    return Figure("input-ahead", beside / alone, 1.0, told)


def rate(loader: Any, preprocess: Any) -> float:
    """Images a second, whole batches as the net takes them."""
    started, images = time.perf_counter(), 0
    for data in loader:
        images += len(preprocess(data, True)["inputs"])
    return images / (time.perf_counter() - started)


def stock_loader(root: Path, workers: int) -> Any:
    """An epoch as MMSegmentation's users have it."""
    dataset = BaseSegDataset(
        data_root=str(root),
        data_prefix={"img_path": "images", "seg_map_path": "masks"},
        img_suffix=".png",
        metainfo={"classes": CLASSES, "palette": [[0, 0, 0]] * len(CLASSES)},
        pipeline=[
            {"type": "LoadImageFromFile"},
            {"type": "LoadAnnotations"},
            {"type": "Resize", "scale": SIZE[::-1], "keep_ratio": False},
            {"type": "RandomFlip", "prob": 0.5},
            {"type": "PackSegInputs"},
        ],
    )
    return DataLoader(
        dataset, BATCH, shuffle=True, num_workers=workers, collate_fn=pseudo_collate, drop_last=True
    )


def stock_preprocessor() -> Any:
    """MMSegmentation's own, batch by batch in the training process."""
    return SegDataPreProcessor(
        IMAGENET_MEAN, IMAGENET_STD, size=SIZE, bgr_to_rgb=True, pad_val=0, seg_pad_val=255
    )


def loop_figure(name: str, size: tuple[int, int], batch: int, rounds: int = 4) -> Figure:
    """The net alone and the training loop by turns, the median step of each."""
    from factories.images import frames_of, ids

    training = Training(epochs=6, batch_size=batch, lr=1e-3)
    frames, images = frames_of(size), ids(batch)
    for image in images:
        frames.image(image), frames.mask(image)

    def build() -> Any:
        return build_segmentor(model_config(name, 3), mc_dropout=False)

    def loop() -> list[float]:
        stamps: list[float] = []
        fit(build, frames, images, (), training, None, Seeds(1, 2, 3, 4, 5), CPU,
            lambda done, total: stamps.append(time.perf_counter()))  # fmt: skip
        return [after - before for before, after in pairwise(stamps)]

    alone, whole = [], []
    bare = alone_step(build(), frames, images, training)
    for _ in range(rounds):
        alone += [bare() for _ in range(training.epochs - 1)]
        whole += loop()
    ratio = median(alone) / median(whole)
    told = f"{median(whole) * 1e3:,.0f} ms an iteration, {median(alone) * 1e3:,.0f} ms of the net"
    height, width = size
    return Figure("input-loop", ratio, 1 / 1.1, f"{told}; {name}, {height}x{width}, batch {batch}")


def alone_step(model: Any, frames: PixelSource, images: Any, training: Training) -> Any:
    """A step as a plain user writes it, on one batch that is there; how long it took."""
    order = Order(tuple(images), training.batch_size, 0)
    feed = Feed(Batches(frames, order, Augmentation.of(training, (124, 116, 104)), labelled=True))
    data = model.data_preprocessor(feed[0], True)
    optimizer = torch.optim.SGD(
        model.parameters(), training.lr, training.momentum, weight_decay=training.weight_decay
    )
    model.train()

    def step() -> float:
        started = time.perf_counter()
        loss, _ = model.parse_losses(model(**data, mode="loss"))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return time.perf_counter() - started

    step()
    return step
