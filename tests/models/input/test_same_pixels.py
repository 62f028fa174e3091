"""The pixels that a model is fed are those of MMSegmentation's own pipeline, byte for byte."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from factories.images import compat
from mmengine.dataset import Compose
from mmseg.datasets.transforms import PhotoMetricDistortion, RandomFlip
from mmseg.datasets.transforms import transforms as stock_transforms
from mmseg.models import SegDataPreProcessor
from PIL import Image

from alspec.datasets.base import IGNORE, ImageId, Split
from alspec.datasets.kinds.folder import Folder, Spec
from alspec.datasets.synthetic.render import view
from alspec.models.input.augmentation import Augmentation
from alspec.models.input.batches import Batches, Order, PixelSource
from alspec.models.input.loader import as_inputs, mean_colour
from alspec.models.input.photometric import ColourDraw, as_tensor, recoloured
from alspec.models.nets.build import build_segmentor
from alspec.models.nets.config import model_config
from alspec.models.nets.normalisation import IMAGENET_MEAN, IMAGENET_STD
from alspec.spec.model import Training

assert compat
SEED = 5


class Drawn:
    """Answers calls of numpy.random from a generator of ours."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def randint(self, low: int, high: int | None = None) -> int:
        return int(self.rng.integers(low) if high is None else self.rng.integers(low, high))

    def uniform(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))


def folder(root: Path, suffix: str, height: int = 120, width: int = 190) -> Folder:
    """Photo-like frames with fine noise, and masks with all values that masks can have."""
    rng = np.random.default_rng(0)
    for split in ("images", "val"):
        (root / split).mkdir(parents=True)
        (root / f"{split}_masks").mkdir()
        for number in range(3):
            image, mask = view(0, 0, number, 3, (height, width))
            noisy = np.clip(image + rng.normal(0, 20, image.shape), 0, 255).astype(np.uint8)
            mask[rng.random(mask.shape) < 0.1] = IGNORE
            Image.fromarray(noisy).save(root / split / f"{number}{suffix}")
            Image.fromarray(mask).save(root / f"{split}_masks" / f"{number}.png")
    spec = {
        "name": "photos", "kind": "folder", "root": str(root), "images": "images",
        "masks": "images_masks", "classes": [f"c{number}" for number in range(19)],
        "val": {"images": "val", "masks": "val_masks"},
    }  # fmt: skip
    return Folder(Spec.model_validate(spec))


def stock(dataset: Folder, image: ImageId, transforms: list[Any]) -> dict[str, Any]:
    """What MMSegmentation's transforms make of a frame's files."""
    first = [{"type": "LoadImageFromFile"}, {"type": "LoadAnnotations"}]
    pipeline = Compose([*first, *transforms, {"type": "PackSegInputs"}])
    made: dict[str, Any] = pipeline(
        {
            "img_path": str(dataset.root / image),
            "seg_map_path": dataset.mask_place(image),
            "reduce_zero_label": False,
            "seg_fields": [],
        }
    )
    return made


def preprocessed(made: list[dict[str, Any]], size: tuple[int, int]) -> dict[str, Any]:
    """As MMSegmentation's own preprocessor leaves what its transforms packed."""
    preprocessor = SegDataPreProcessor(
        IMAGENET_MEAN, IMAGENET_STD, size=size, bgr_to_rgb=True, pad_val=0, seg_pad_val=IGNORE
    )
    data = {"inputs": [one["inputs"] for one in made],
            "data_samples": [one["data_samples"] for one in made]}  # fmt: skip
    done: dict[str, Any] = preprocessor(data, True)
    return done


@pytest.fixture(params=[".png", ".jpg"])
def dataset(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    return folder(tmp_path, request.param)


SIZES = [(60, 95), (31, 47), (256, 512), (120, 190)]


@pytest.mark.parametrize("size", SIZES)
def test_loaded_and_resized(dataset: Folder, size: tuple[int, int]) -> None:
    frames = PixelSource(dataset, size)
    resize = {"type": "Resize", "scale": size[::-1], "keep_ratio": False}
    for frame in dataset.frames(Split.POOL):
        made = stock(dataset, frame.id, [resize])
        ours = torch.from_numpy(frames.image(frame.id).copy()).permute(2, 0, 1)
        assert torch.equal(made["inputs"][[2, 1, 0]], ours)
        labels = made["data_samples"].gt_sem_seg.data[0]
        assert np.array_equal(labels, frames.mask(frame.id))


@pytest.mark.parametrize(
    ("crop", "scale"), [(None, None), ((40, 64), None), ((40, 64), (0.7, 1.5))]
)
def test_a_batch_as_the_net_sees_it(
    dataset: Folder,
    monkeypatch: pytest.MonkeyPatch,
    crop: tuple[int, int] | None,
    scale: tuple[float, float] | None,
) -> None:
    """Scale, crop, flip and normalisation, with the same draws."""
    size, images = (60, 95), tuple(frame.id for frame in dataset.frames(Split.POOL))
    training = Training(crop=crop, scale=scale, batch_size=3)
    order, augmentation = Order(images, 3, SEED), Augmentation.of(training, (0, 0, 0))
    batch = Batches(PixelSource(dataset, size), order, augmentation, labelled=True)[0]
    model: Any = build_segmentor(model_config("deeplabv3plus_tiny", 19), mc_dropout=False)
    ours = model.data_preprocessor(as_inputs(batch), True)

    drawn, made, flip = Drawn(np.random.default_rng(order[0].seed)), [], RandomFlip(prob=1.0)
    monkeypatch.setattr(stock_transforms.np.random, "randint", drawn.randint)
    for image in order[0].images:
        transforms: list[Any] = [{"type": "Resize", "scale": size[::-1]}]
        if scale:
            factor = drawn.uniform(*scale)
            scaled = max(1, round(size[1] * factor)), max(1, round(size[0] * factor))
            transforms.append({"type": "Resize", "scale": scaled})
        if crop:
            transforms.append({"type": "RandomCrop", "crop_size": crop, "cat_max_ratio": 1.0})
        transforms.append(lambda results: flip(results) if drawn.randint(2) else results)
        made.append(stock(dataset, image, transforms))
    theirs = preprocessed(made, crop or size)
    assert torch.equal(ours["inputs"], theirs["inputs"])
    for sample, own in zip(theirs["data_samples"], ours["data_samples"], strict=True):
        assert torch.equal(sample.gt_sem_seg.data, own.gt_sem_seg.data)
        assert own.img_shape == own.pad_shape == (crop or size)


def test_padding_is_where_mmsegmentation_puts_it(dataset: Folder) -> None:
    size, crop = (60, 95), (80, 120)
    image = dataset.frames(Split.POOL)[0].id
    training = Training(crop=crop, batch_size=2, flip=False)
    order = Order((image,), 2, SEED)
    model: Any = build_segmentor(model_config("deeplabv3plus_tiny", 19), mc_dropout=False)
    augmentation = Augmentation.of(training, mean_colour(model.data_preprocessor))
    batch = Batches(PixelSource(dataset, size), order, augmentation, labelled=True)[0]
    packed = stock(dataset, image, [{"type": "Resize", "scale": size[::-1]}])
    stocks = preprocessed([packed], crop)
    (theirs,) = stocks["data_samples"]
    ours = model.data_preprocessor(as_inputs(batch), True)
    for sample in ours["data_samples"]:
        assert torch.equal(sample.gt_sem_seg.data, theirs.gt_sem_seg.data)
    # Theirs is 0 there, once normalised; a mean in whole numbers is half a grey off at most.
    torch.testing.assert_close(ours["inputs"][:1], stocks["inputs"], rtol=0, atol=0.5 / 57)


def noise(seed: int) -> np.ndarray:
    """All colours; greys and equal channels too. OpenCV rounds a row's last 32nds otherwise."""
    image = np.random.default_rng(seed).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    image[:12] = image[:12, :, :1]
    image[12:24, :, 1] = image[12:24, :, 0]
    image[24:30] = np.where(image[24:30] > 127, np.uint8(255), np.uint8(0))
    return image


def test_colours_change_as_in_mmsegmentation(monkeypatch: pytest.MonkeyPatch) -> None:
    images, draws, stocks = [], [], []
    for seed in range(80):
        images.append(noise(seed))
        draws.append(ColourDraw.sample(np.random.default_rng(seed)))
        monkeypatch.setattr(stock_transforms, "random", Drawn(np.random.default_rng(seed)))
        bgr = images[-1][..., ::-1].copy()
        stocks.append(PhotoMetricDistortion().transform({"img": bgr})["img"][..., ::-1])
    batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()
    ours = recoloured(batch, as_tensor(draws)).permute(0, 2, 3, 1).numpy().astype(int)
    apart = np.abs(ours - np.stack(stocks))
    assert apart.max() <= 2
    assert (apart > 0).mean() < 0.02
    changed = [draw != ColourDraw() for draw in draws]
    assert 70 < sum(changed) < 80
    for before, after, change in zip(images, stocks, changed, strict=True):
        assert change != np.array_equal(before, after)


def test_colours_are_drawn_beside_what_else_is_drawn(dataset: Folder) -> None:
    order = Order(tuple(frame.id for frame in dataset.frames(Split.POOL)), 3, SEED)
    frames = PixelSource(dataset, (60, 95))
    plain, coloured = (
        Batches(frames, order, Augmentation(None, None, True, colour), labelled=True)[0]
        for colour in (False, True)
    )
    assert plain.colours is None
    assert coloured.colours is not None
    assert coloured.colours.shape == (3, 7)
    model: Any = build_segmentor(model_config("deeplabv3plus_tiny", 19), mc_dropout=False)
    one, other = (model.data_preprocessor(as_inputs(b), True)["inputs"] for b in (plain, coloured))
    assert not torch.equal(one, other)
