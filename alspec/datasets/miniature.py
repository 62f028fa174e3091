"""Small rendered datasets in the official trees of cityscapes, voc and a2d2."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from alspec.datasets.base import IGNORE, Image, Mask, Split
from alspec.datasets.cityscapes19 import Label
from alspec.datasets.kinds import a2d2, cityscapes, voc
from alspec.datasets.synthetic.render import view
from alspec.errors import InputError

SEQUENCES = 4
"""Videos in the pool of a miniature."""
FEWEST = 3 * SEQUENCES
"""So that each video has several frames, and validation has some."""

_CITIES = {Split.POOL: ("aachen", "bremen", "jena", "ulm"), Split.VAL: ("frankfurt", "lindau")}
_DRIVES = ("20180807_145028", "20181008_095521", "20181107_132300", "20181204_154421")
_CAMERA = "cam_front_center"
_VOC_CLASSES = {
    Label.CAR: "car",
    Label.TRUCK: "car",
    Label.BUS: "bus",
    Label.TRAIN: "train",
    Label.PERSON: "person",
    Label.RIDER: "person",
    Label.MOTORCYCLE: "motorbike",
    Label.BICYCLE: "bicycle",
    Label.VEGETATION: "pottedplant",
    Label.TRAFFIC_SIGN: "tvmonitor",
    Label.FENCE: "chair",
}
_VOC_OTHERS = {
    Label.CAR: "aeroplane",
    Label.TRUCK: "boat",
    Label.BUS: "bottle",
    Label.TRAIN: "bird",
    Label.PERSON: "cat",
    Label.RIDER: "dog",
    Label.MOTORCYCLE: "horse",
    Label.BICYCLE: "sheep",
    Label.VEGETATION: "cow",
    Label.TRAFFIC_SIGN: "sofa",
    Label.FENCE: "diningtable",
}
"""In every second image, so that a miniature has all classes."""
_A2D2_OTHERS = {
    Label.SIDEWALK: "Curbstone",
    Label.POLE: "Traffic guide obj.",
    Label.TERRAIN: "Solid line",
}
"""In every second image, as `_VOC_OTHERS`."""
_A2D2_NAMES = {
    Label.ROAD: "RD normal street",
    Label.SIDEWALK: "Sidewalk",
    Label.BUILDING: "Buildings",
    Label.WALL: "Road blocks",
    Label.FENCE: "Sidebars",
    Label.POLE: "Poles",
    Label.TRAFFIC_LIGHT: "Traffic signal 1",
    Label.TRAFFIC_SIGN: "Traffic sign 1",
    Label.VEGETATION: "Nature object",
    Label.TERRAIN: "Non-drivable street",
    Label.SKY: "Sky",
    Label.PERSON: "Pedestrian 1",
    Label.RIDER: "Pedestrian 2",
    Label.CAR: "Car 1",
    Label.TRUCK: "Truck 1",
    Label.BUS: "Utility vehicle 1",
    Label.TRAIN: "Obstacles / trash",
    Label.MOTORCYCLE: "Small vehicles 1",
    Label.BICYCLE: "Bicycle 1",
}


@dataclass(frozen=True, slots=True)
class Drawing:
    """What a miniature shows.

    Attributes:
        images: in the pool; a third as many measure.
        size: height, width in pixels; voc's images are at most as large, some upright.
        seed: of everything.
    """

    images: int = 96
    size: tuple[int, int] = (128, 256)
    seed: int = 0

    def frames(self, split: Split) -> Iterator[tuple[int, int]]:
        """Sequence and frame of each image; sequences are as equally long as can be."""
        sequences, images = SEQUENCES, self.images
        if split is Split.VAL:
            sequences, images = len(_CITIES[split]), self.images // 3
        for sequence in range(sequences):
            length = images // sequences + (sequence < images % sequences)
            yield from ((sequence, frame) for frame in range(length))

    def draw(self, split: Split, sequence: int, frame: int) -> tuple[Image, Mask]:
        """An image (H, W, 3) and its train ids (H, W); every pixel has one."""
        return view(self.seed, int(split is Split.VAL), sequence, frame, self.size)


def make(kind: str, folder: Path, drawing: Drawing) -> int:
    """Draw a miniature; the folder is there whole or not at all.

    Args:
        kind: cityscapes, voc or a2d2.
        folder: becomes the dataset's root; it must not exist, or be empty.
        drawing: how much, how large, from which seed.

    Returns:
        Images rendered, validation included.

    Raises:
        InputError: a kind without miniature, too few images, or a folder that is not empty.
    """
    write = _WRITERS.get(kind)
    if write is None:
        raise InputError.at(kind, f"no miniature of this kind. Known: {', '.join(_WRITERS)}")
    if drawing.images < FEWEST:
        what = f"a miniature has at least {FEWEST} images, {SEQUENCES} videos of 3"
        raise InputError.at(f"{drawing.images} images", what)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError.at(folder, "is there and not empty; name a new folder, or remove it")
    folder = folder.resolve()
    draft = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}")
    try:
        draft.mkdir(parents=True)
        images = sum(1 for _ in write(draft, drawing))
        os.replace(draft, folder)  # noqa: PTH105 - Path.replace promises less for folders
    except OSError as err:
        what = f"cannot be written: {err.strerror or err}; name another folder"
        raise InputError.at(folder, what) from err
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return images


def _cityscapes(root: Path, drawing: Drawing) -> Iterator[Path]:
    values = _table(cityscapes.LABEL_IDS)
    for split in Split:
        for sequence, frame in drawing.frames(split):
            image, mask = drawing.draw(split, sequence, frame)
            city = _CITIES[split][sequence]
            name = f"{cityscapes.SPLITS[split]}/{city}/{city}_000000_{frame:06d}"
            ends = (cityscapes.IMAGE_END, cityscapes.mask_end("labelIds"))
            yield _save(root / cityscapes.IMAGES / (name + ends[0]), PillowImage.fromarray(image))
            _save(root / cityscapes.MASKS / (name + ends[1]), PillowImage.fromarray(values[mask]))


def _a2d2(root: Path, drawing: Drawing) -> Iterator[Path]:
    colours = {row["name"]: a2d2.rgb(row["colour"]) for row in a2d2.colours()}
    palettes = [
        np.array([colours[names[label]] for label in Label], np.uint8)
        for names in (_A2D2_NAMES, _A2D2_NAMES | _A2D2_OTHERS)
    ]
    for split in Split:
        for sequence, frame in drawing.frames(split):
            # A2D2 measures on one drive, so both of validation's videos are parts of it.
            drive = _DRIVES[sequence] if split is Split.POOL else a2d2.VALIDATION
            number = 10_000 * sequence + 33 * frame
            image, mask = drawing.draw(split, sequence, frame)
            for what, pixels in (("camera", image), ("label", palettes[frame % 2][mask])):
                short = f"{what}_{_CAMERA.removeprefix('cam_').replace('_', '')}"
                name = f"{drive.replace('_', '')}_{short}_{number:09d}.png"
                path = root / a2d2.TREE / drive / what / _CAMERA / name
                _save(path, PillowImage.fromarray(pixels))
            yield path


def _voc(root: Path, drawing: Drawing) -> Iterator[Path]:
    home = root / voc.HOMES[0]
    values = [
        _table({label: voc.CLASSES.index(name) for label, name in names.items()})
        for names in (_VOC_CLASSES, _VOC_OTHERS)
    ]
    lists: dict[str, list[str]] = {"train": [], "train_aug": [], "val": []}
    for split in Split:
        for number, (sequence, frame) in enumerate(drawing.frames(split)):
            rng = np.random.default_rng((drawing.seed, int(split is Split.VAL), number))
            image, mask = drawing.draw(split, sequence + SEQUENCES * frame, 3 * frame)
            image, mask = _cut(image, _outlined(values[number % 2][mask]), rng)
            # Every third of the pool is VOC's own, the others have their labels from SBD.
            own = split is Split.VAL or number % 3 == 0
            name = f"{2007 + int(split is Split.VAL)}_{number:06d}"
            lists["val" if split is Split.VAL else "train_aug"].append(name)
            if own and split is Split.POOL:
                lists["train"].append(name)
            folder = voc.MASKS if own else voc.AUGMENTED_MASKS
            labels = PillowImage.fromarray(mask)
            labels.putpalette(_voc_palette().tobytes())
            _save(home / folder / f"{name}.png", labels)
            yield _save(home / voc.IMAGES / f"{name}.jpg", PillowImage.fromarray(image))
    for name, members in lists.items():
        path = home / voc.LISTS / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{member}\n" for member in members), encoding="utf-8")


def _table(values: Mapping[Label, int]) -> NDArray[np.uint8]:
    """Train id to the value in a file; 0 for labels without one."""
    return np.array([values.get(label, 0) for label in Label], np.uint8)


def _cut(image: Image, mask: Mask, rng: np.random.Generator) -> tuple[Image, Mask]:
    """A window of its own size, sometimes upright, as photographs have."""
    height, width = mask.shape
    tall = round(height * rng.uniform(0.75, 1))
    wide = round(min(width, tall * rng.choice((0.75, 1.33))))
    top, left = int(rng.integers(height - tall + 1)), int(rng.integers(width - wide + 1))
    window = np.s_[top : top + tall, left : left + wide]
    return image[window], np.ascontiguousarray(mask[window])


def _outlined(mask: Mask) -> Mask:
    """VOC's masks have ignored pixels where one class meets another."""
    edge = np.zeros(mask.shape, bool)
    edge[:, 1:] |= mask[:, 1:] != mask[:, :-1]
    edge[1:] |= mask[1:] != mask[:-1]
    return np.where(edge, np.uint8(IGNORE), mask)


def _voc_palette() -> NDArray[np.uint8]:
    """VOC's colours, (256, 3): the bits of the index, dealt to red, green and blue from the top."""
    index = np.arange(256)
    palette = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            palette[:, channel] |= ((index >> (3 * bit + channel) & 1) << (7 - bit)).astype(
                np.uint8
            )
    return palette


def _save(path: Path, image: PillowImage.Image) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, quality=92) if path.suffix == ".jpg" else image.save(path)
    return path


_WRITERS: Mapping[str, Callable[[Path, Drawing], Iterator[Path]]] = {
    "cityscapes": _cityscapes,
    "voc": _voc,
    "a2d2": _a2d2,
}
