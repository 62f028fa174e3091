"""What a dataset kind is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import ClassVar, NewType, Protocol

import numpy as np
from numpy.typing import NDArray

from alspec.errors import Problem
from alspec.spec.model import DatasetSpec

ImageId = NewType("ImageId", str)
"""Names an image inside its dataset: a relative path with forward slashes, the same anywhere."""

IGNORE = 255
"""The label of pixels that count for nothing, whatever the files on disk use."""

Image = NDArray[np.uint8]
"""(H, W, 3) RGB."""
Mask = NDArray[np.uint8]
"""(H, W), class ids 0..C-1 and `IGNORE`."""


class Split(Enum):
    """The two halves of a dataset: what can be labelled, and what measures the result."""

    POOL = "pool"
    VAL = "val"


@dataclass(frozen=True, slots=True)
class Frame:
    """An image and its place in time; frames without video are sequences of their own order.

    Attributes:
        id: the image.
        sequence: the video it belongs to.
    """

    id: ImageId
    sequence: str


class Dataset(Protocol):
    """Duties of a dataset kind (entry point group `alspec.datasets`).

    **Listing is cheap and cold**: `frames` and `fingerprint` read names and sizes, never pixels.
    **Order is time**: `frames` come sequence by sequence, each in time order, the same every time.
    **Labels are asked for only where they are paid for**: `read_mask` is called for labelled and
    validation images alone.
    """

    kind: ClassVar[str]
    Spec: ClassVar[type[DatasetSpec]]

    def __init__(self, spec: DatasetSpec) -> None: ...

    @property
    def spec(self) -> DatasetSpec:
        """What it was made from."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; the position is the class id."""
        ...

    def frames(self, split: Split) -> tuple[Frame, ...]:
        """All frames of a split in time order. Raises DataError for a tree that is not there."""
        ...

    def fingerprint(self, split: Split) -> str:
        """SHA-256 over what identifies the split's files, the same wherever the tree lies."""
        ...

    def read_image(self, image: ImageId) -> Image:
        """The image at its own size; in any thread. Raises DataError naming the file."""
        ...

    def read_mask(self, image: ImageId) -> Mask:
        """The labels at their own size; in any thread. Raises DataError naming the file."""
        ...

    def check(self) -> Iterator[Sequence[Problem]]:
        """Read every file; yields once for each image, its problems or nothing."""
        ...


def resolve(root: str | None, relative: str) -> Path:
    """A path of the spec below the dataset's root."""
    return Path(root or ".") / relative
