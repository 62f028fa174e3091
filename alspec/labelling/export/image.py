"""An image as it is handed over, and the flat name that any tool takes."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from alspec.datasets.base import ImageId, Mask
from alspec.datasets.files.palette import Colour

REJECT = "reject"
"""The tag of an image that cannot or shall not be labelled."""

_ODD = re.compile(r"[^A-Za-z0-9_-]+")
_LONGEST_STEM = 80


@dataclass(frozen=True)
class HandedImage:
    """An image of a batch on its way to a tool.

    Attributes:
        id: the project's.
        name: flat and unique, best first: `b01-0001-frame_12.jpg`.
        file: where it lies.
        size: height, width.
        proposal: the model's mask (H, W); None for check images and first batches.
    """

    id: ImageId
    name: str
    file: Path
    size: tuple[int, int]
    proposal: Mask | None = None


@dataclass(frozen=True)
class HandOver:
    """A batch on its way to a tool.

    Attributes:
        images: best first.
        classes: names by id.
        project: the spec file, for the commands in HOW-TO.md.
        unlabelled: what happens to pixels without a class, in words that follow these.
        home: the absolute folder where the hand-over is to stay.
        colours: of the classes by id, in the project's own masks; empty where those have none.
    """

    images: Sequence[HandedImage]
    classes: Sequence[str]
    project: str
    unlabelled: str
    home: Path
    colours: Sequence[Colour] = ()


def flat_name(batch: int, rank: int, image: ImageId) -> str:
    """The name of an image in hand-overs: letters, digits, `_` and `-`, and one dot.

    Dots, folders and odd characters break imports (cvat#6319, cvat#6443).

    >>> flat_name(1, 7, "day 2/é.v1_0003.JPG")
    'b01-0007-v1_0003.jpg'
    """
    path = PurePosixPath(image)
    stem = _ODD.sub("-", path.stem).strip("-")[-_LONGEST_STEM:] or "image"
    return f"b{batch:02d}-{rank:04d}-{stem}{path.suffix.lower()}"


def reject_tag(classes: Sequence[str]) -> str:
    """The tag for rejected images; a different one where a class has that name."""
    tag = REJECT
    while tag in classes:
        tag += "-image"
    return tag


def copy_images(images: Sequence[HandedImage], folder: Path) -> None:
    """Copy the image files under their flat names; people may edit copies, never originals."""
    folder.mkdir(parents=True)
    for image in images:
        shutil.copyfile(image.file, folder / image.name)
