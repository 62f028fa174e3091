"""What a folder of images and masks seems to be, as values for the spec template `folder`."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from alspec.datasets.base import IGNORE
from alspec.datasets.files.listing import IMAGE_SUFFIXES, MASK_SUFFIXES

_MOST_FILES = 200_000
_DEEPEST = 4
_SAMPLE = 40
"""Masks read to see which values occur."""
_MOST_CLASSES = 64
_MASK_WORDS = re.compile("mask|label|annot|gt|seg|truth", re.IGNORECASE)
_VAL_WORDS = re.compile("^(val|dev|eval|test)", re.IGNORECASE)
_ONE_BAND = ("1", "L", "P", "I", "I;16")
ON_GPU = {"model": "deeplabv3plus_r18"}
ON_CPU = {
    "model": "deeplabv3plus_tiny",
    "training": "{epochs: 15, batch_size: 4, lr: 0.1, head_lr_factor: 1}",
}


@dataclass(frozen=True, slots=True)
class Proposal:
    """Values for the template `folder`, and what a person should look at.

    Attributes:
        values: YAML by key.
        notes: what was found, and what could not be decided.
    """

    values: Mapping[str, str | None]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ImageFolder:
    """Image files at and below a folder.

    Attributes:
        path: below the tree's root, with forward slashes.
        files: the file of each name, from here and without extension.
    """

    path: str
    files: dict[str, Path] = field(default_factory=dict)

    @property
    def is_val(self) -> bool:
        """Whether its name says that it is to measure on."""
        return any(_VAL_WORDS.match(part) for part in PurePosixPath(self.path).parts)


def propose_study(root: Path, *, gpu: bool) -> Proposal:
    """Look at a tree: which folders hold images and their masks, which values the masks hold.

    Args:
        root: an existing folder.
        gpu: whether the study will run on a GPU; a CPU gets a small model at a small size.
    """
    pairs = sorted(paired_folders(list(image_folders(root))), key=lambda pair: -len(pair[0].files))
    name = re.sub("[^A-Za-z0-9]+", "-", root.resolve().name).strip("-") or "my-data"
    values: dict[str, str | None] = {"study": name, "name": name, "root": yaml_text(str(root))}
    values |= ON_GPU if gpu else ON_CPU
    if not pairs:
        return Proposal(values, (_NOTHING,))
    val = next((pair for pair in pairs if pair[0].is_val), None)
    apart = [pair for pair in pairs if not pair[0].is_val and not _overlaps(pair[0], val)]
    images, masks = (apart or pairs)[0]
    notes = [f"{len(images.files)} images in {images.path}, their masks in {masks.path}"]
    values |= {"images": yaml_text(images.path), "masks": yaml_text(masks.path)}
    if val is None or not apart:
        values["val"] = "{fraction: 0.2}"
        notes.append("no folder to measure on was found: a fifth of the images measures")
    else:
        values["val"] = f"{{images: {yaml_text(val[0].path)}, masks: {yaml_text(val[1].path)}}}"
        notes.append(f"{len(val[0].files)} images to measure on in {val[0].path}")
    guesses = {
        "image_size": guess_size(images, 256 if gpu else 96),
        "sequence": guess_sequence(tuple(images.files)),
        "classes": guess_classes(masks),
    }
    for key, guess in guesses.items():
        for values[key], note in guess:
            notes.append(note)
    if gaps := guess_values(masks):
        values |= {"classes": None, "values": gaps}
    return Proposal(values, tuple(notes))


_NOTHING = (
    "no two folders hold files of the same names, as images and their masks do: set `images`, "
    "`masks`, `val` and `classes`"
)


def image_folders(root: Path) -> Iterator[ImageFolder]:
    """Every folder below the root, with the image files at and below it."""
    found: dict[str, ImageFolder] = {}
    seen = 0
    for folder, names, files in os.walk(root):
        below = Path(folder).relative_to(root)
        names[:] = sorted(name for name in names if not name.startswith("."))
        if len(below.parts) >= _DEEPEST:
            names[:] = []
        for name in sorted(files):
            path = below / name
            if path.suffix.lower() not in IMAGE_SUFFIXES or name.startswith("."):
                continue
            seen += 1
            for parent in list(path.parents)[:-1]:
                at = found.setdefault(parent.as_posix(), ImageFolder(parent.as_posix()))
                at.files[path.relative_to(parent).with_suffix("").as_posix()] = root / path
        if seen > _MOST_FILES:
            return iter(())
    return iter(found.values())


def paired_folders(folders: Sequence[ImageFolder]) -> Iterator[tuple[ImageFolder, ImageFolder]]:
    """Folders of images with the folder of their masks: the same names, one band or a palette."""
    by_names: dict[frozenset[str], list[ImageFolder]] = {}
    for folder in folders:
        by_names.setdefault(frozenset(folder.files), []).append(folder)
    for same in by_names.values():
        masks = [folder for folder in same if holds_masks(folder)]
        images = [folder for folder in same if folder not in masks]
        if len(same) > 1 and not images:  # grey images: names decide
            images = [folder for folder in masks if not _MASK_WORDS.search(folder.path)]
            masks = [folder for folder in masks if folder not in images]
        if images and masks:
            yield images[0], masks[0]


def holds_masks(folder: ImageFolder) -> bool:
    """Whether its first file may be a mask: one band, or a palette."""
    first = next(iter(folder.files.values()))
    if first.suffix.lower() not in MASK_SUFFIXES:
        return False
    try:
        with Image.open(first) as image:
            return image.mode in _ONE_BAND
    except (OSError, ValueError, Image.DecompressionBombError):
        return False


def _overlaps(folder: ImageFolder, other: tuple[ImageFolder, ImageFolder] | None) -> bool:
    return other is not None and PurePosixPath(other[0].path).is_relative_to(folder.path)


def yaml_text(value: str) -> str:
    """Text as YAML, in quotes only where it needs them."""
    return value if re.fullmatch(r"[A-Za-z_./][A-Za-z0-9_./-]*", value) else json.dumps(value)


def _pixels(path: Path) -> NDArray[np.generic] | None:
    """The pixels of a file; None where it cannot be read, which `alspec check` reports."""
    try:
        with Image.open(path) as image:
            return np.asarray(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def guess_size(images: ImageFolder, short: int) -> Iterator[tuple[str, str]]:
    """Height and width with a short side of at most `short`, multiples of 8 pixels."""
    pixels = _pixels(next(iter(images.files.values())))
    if pixels is not None:
        height, width = pixels.shape[:2]
        scale = min(1.0, short / min(width, height))
        size = [max(16, round(side * scale / 8) * 8) for side in (height, width)]
        yield str(size), f"the first image is {height}x{width} (height x width), used as {size}"


def _mask_values(masks: ImageFolder) -> list[int]:
    """The values that a sample of the masks holds."""
    files = list(masks.files.values())
    sample = [_pixels(path) for path in files[:: max(1, len(files) // _SAMPLE)]]
    return sorted({int(v) for pixels in sample if pixels is not None for v in np.unique(pixels)})


def guess_classes(masks: ImageFolder) -> Iterator[tuple[str, str]]:
    """Invented names for the values that masks hold."""
    values = _mask_values(masks)
    highest = max((value for value in values if value != IGNORE), default=1)
    count = max(2, highest + 1) if highest < IGNORE else 2
    listed = ", ".join(map(str, values[:32]))
    names = "[" + ", ".join(f"class_{value}" for value in range(count)) + "]"
    yield names, f"the masks hold the values {listed}: name the classes, or set `ignore`"


def guess_values(masks: ImageFolder) -> str | None:
    """Values with gaps, as 0 and 255 of a black and white mask, each a class; None without gaps."""
    values = _mask_values(masks)
    named = [value for value in values if value != IGNORE or len(values) <= 2]
    if len(named) < 2 or named == list(range(len(named))) or len(named) > _MOST_CLASSES:
        return None
    return "{" + ", ".join(f"{value}: class_{value}" for value in named) + "}"


def guess_sequence(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """A pattern for `<video>_<frame>`, where a few names come before many numbers."""
    videos = Counter(
        found[1] for name in names if (found := re.match(r"^(.*)_[A-Za-z]*[0-9]+$", name))
    )
    if sum(videos.values()) == len(names) and 1 < len(videos) <= len(names) / 5:
        yield "'^(.*)_'", f"{len(videos)} videos by the names of the files: look at `sequence`"
