"""What a delivery is made of, and what is expected of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Literal, NamedTuple

import numpy as np

from alspec.datasets.base import IGNORE, ImageId, Mask
from alspec.labelling.rle import Bits

MaskValues = Literal["any", "ids", "own", "colours"]
"""Of masks in a folder: ids of `classes.csv`, what the project's own masks hold, colours, or
whichever fits."""

MOST_CONTESTED = 0.05
"""Share of an image's pixels that may be claimed by regions of two classes."""


@dataclass(frozen=True, slots=True)
class Awaited:
    """An image that was handed over.

    Attributes:
        id: the project's.
        found: height, width; or why the image cannot be read, in words.
    """

    id: ImageId
    found: tuple[int, int] | str

    @property
    def size(self) -> tuple[int, int]:
        """Height, width. Raises ValueError where the image cannot be read."""
        if isinstance(self.found, str):
            raise ValueError(self.found)
        return self.found


@dataclass(frozen=True)
class Expectation:
    """What a delivery may hold.

    Attributes:
        images: flat name without extension to the image.
        classes: names by id.
        unlabelled: the class id of pixels that nobody labelled; `IGNORE` where the project has none
            for them.
        values: class ids of the values in the project's own masks; empty where those have colours.
        colours: class ids of the colours in the project's own masks.
        mask_values: what pixels of a folder's masks are.
    """

    images: Mapping[str, Awaited]
    classes: Sequence[str]
    unlabelled: int = IGNORE
    values: Mapping[int, int] = field(default_factory=dict)
    colours: Mapping[tuple[int, int, int], int] = field(default_factory=dict)
    mask_values: MaskValues = "any"

    def class_id(self, name: str) -> int:
        """The id of a class. Raises ValueError for an unknown name."""
        if name not in self.classes:
            raise ValueError(f"the class `{name}` is not one of the project's")
        return self.classes.index(name)

    def image(self, name: str) -> Awaited:
        """The image of a name, whatever its folder and extension. Raises ValueError."""
        found = self.images.get(stem_of(name))
        if found is None:
            raise ValueError("no image of this name was handed over")
        return found


@dataclass(frozen=True)
class Delivered:
    """What a delivery says of one image.

    Attributes:
        name: flat, without extension.
        mask: (H, W) class ids and `IGNORE`; None where there is none.
        rejected: marked as impossible to label.
        annotator: who; empty where the tool does not record it.
        when: when it was last changed, as the tool writes it; sorts.
        seconds: of work.
        submitted: a person marked it as done.
        contested: share of pixels that regions of two classes claimed.
    """

    name: str
    mask: Mask | None = None
    rejected: bool = False
    annotator: str = ""
    when: str = ""
    seconds: float | None = None
    submitted: bool = False
    contested: float = 0.0


class Refused(NamedTuple):
    """Something in a delivery that was not taken.

    Attributes:
        file: it, as the delivery calls it.
        why: the reason, in words.
    """

    file: str
    why: str


@dataclass
class Delivery:
    """A delivery as read."""

    images: list[Delivered] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    _names: set[str] = field(default_factory=set, repr=False)

    def add(self, one: Delivered) -> None:
        """Take what is said of an image once. Raises ValueError for what is said again."""
        if one.name in self._names:
            raise ValueError("the delivery has this image twice; the first is taken, this is not")
        self._names.add(one.name)
        self.images.append(one)


class Region(NamedTuple):
    """A part of an image that somebody gave a class; (H, W) of the whole image."""

    class_id: int
    mask: Bits


def painted(
    regions: Iterable[Region], size: tuple[int, int], unlabelled: int
) -> tuple[Mask, float]:
    """Regions one over the other, and the share of pixels that two classes claimed.

    Args:
        regions: in order; the later one wins.
        size: height, width.
        unlabelled: the value of pixels in no region.

    Raises:
        ValueError: more than `MOST_CONTESTED` of the pixels are claimed by two classes.
    """
    mask: Mask = np.full(size, unlabelled, np.uint8)
    claimed, contested = np.zeros(size, bool), np.zeros(size, bool)
    for class_id, own in regions:
        contested |= own & claimed & (mask != class_id)
        mask[own] = class_id
        claimed |= own
    share = float(contested.mean())
    if share > MOST_CONTESTED:
        raise ValueError(
            f"regions of different classes overlap on {100 * share:.1f} % of its pixels (at most "
            f"{100 * MOST_CONTESTED:g} %); erase the lower one where it is covered"
        )
    return mask, share


def stem_of(name: str) -> str:
    """A flat name without folders and extension."""
    return PurePosixPath(name.replace("\\", "/")).stem
