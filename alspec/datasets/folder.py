"""The dataset kind `folder`: a tree of images and a tree of masks with the same names."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from alspec.datasets.base import IGNORE, Frame, Image, ImageId, Mask, Split, resolve
from alspec.datasets.pixels import read_labels, read_rgb
from alspec.datasets.tree import Pair, Tree, list_pairs
from alspec.errors import DataError, Problem
from alspec.spec.model import DatasetSpec, Frozen, OptionalPath

_READERS = 4


def _below_root(value: str) -> str:
    path = PurePosixPath(value)
    if path.is_absolute() or PureWindowsPath(value).drive or "\\" in value or ".." in path.parts:
        raise PydanticCustomError(
            "folder",
            "`{value}` is not a folder below `root`; write it as `train/images`",
            {"value": value},
        )
    return path.as_posix()


RelativeFolder = Annotated[str, Field(min_length=1), AfterValidator(_below_root)]


def _overlap(first: str, second: str) -> bool:
    """Whether one folder is, or lies in, the other."""
    one, other = PurePosixPath(first), PurePosixPath(second)
    return one == other or one in other.parents or other in one.parents


class Half(Frozen):
    """The two folders of a split, relative to `root`."""

    images: RelativeFolder
    masks: RelativeFolder

    @field_validator("masks")
    @classmethod
    def _beside_the_images(cls, masks: str, info: ValidationInfo) -> str:
        images = info.data.get("images")
        if images is not None and _overlap(images, masks):
            raise PydanticCustomError(
                "folder",
                "images `{images}` and masks `{masks}` share a folder; put them into two",
                {"images": images, "masks": masks},
            )
        return masks


class Spec(Half, DatasetSpec):
    """A tree that any person has; image and mask have the same path but for the extension."""

    kind: Literal["folder"]
    root: OptionalPath = Field(
        default=None, validate_default=True, description="folder that holds images and masks"
    )
    classes: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        min_length=2, max_length=IGNORE, description="names; the position is the value in the masks"
    )
    ignore: int | None = Field(
        default=None, ge=0, le=255, description="mask value that counts for nothing, besides 255"
    )
    sequence: str | None = Field(
        default=None,
        description="regular expression with one group, searched in an image's path without "
        "extension: the video it belongs to; none: all images are one sequence, ordered by name",
    )
    val: Half

    @field_validator("root")
    @classmethod
    def _root_is_needed(cls, root: str | None) -> str:
        if root is None:
            raise PydanticCustomError(
                "root", "`root` is needed: the folder that holds `images` and `masks`", {}
            )
        return root

    @field_validator("classes")
    @classmethod
    def _different(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        twice = next((name for name in classes if classes.count(name) > 1), None)
        if twice is not None:
            raise PydanticCustomError("repeated", "class `{name}` is named twice", {"name": twice})
        return classes

    @field_validator("sequence")
    @classmethod
    def _one_group(cls, sequence: str | None) -> str | None:
        if sequence is None:
            return None
        try:
            groups = re.compile(sequence).groups
        except re.error as err:
            raise PydanticCustomError(
                "sequence", "it is not a regular expression: {why}", {"why": str(err)}
            ) from err
        if groups != 1:
            raise PydanticCustomError(
                "sequence",
                "it has {groups} groups; put the part that names the video, and nothing else, in "
                "round brackets, as in `^(.*)_`, and write other brackets `(?:...)`",
                {"groups": groups},
            )
        return sequence

    @field_validator("val")
    @classmethod
    def _apart(cls, val: Half, info: ValidationInfo) -> Half:
        images = info.data.get("images")
        if images is not None and _overlap(images, val.images):
            raise PydanticCustomError(
                "folder",
                "val.images `{val}` and images `{images}` share files, so the model would be "
                "measured on what it was trained on; put them into two folders",
                {"val": val.images, "images": images},
            )
        return val


class Folder:
    """Images and masks in folders; see `Spec` for what the user says about them."""

    kind: ClassVar[str] = "folder"
    Spec: ClassVar[type[DatasetSpec]] = Spec

    def __init__(self, spec: Any) -> None:
        self.spec: Any = spec
        self._pairs: dict[Split, dict[ImageId, Pair]] = {}
        self._lookup = _lookup(len(spec.classes), spec.ignore)

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; the position is the class id."""
        names: tuple[str, ...] = self.spec.classes
        return names

    def frames(self, split: Split) -> tuple[Frame, ...]:
        """All frames of a split in time order; the folders are listed once.

        Raises:
            DataError: a folder is missing or empty, or names do not pair; all of it at once.
        """
        return tuple(pair.frame for pair in self._listed(split).values())

    def fingerprint(self, split: Split) -> str:
        """SHA-256 over names and sizes of the split's files; classes and `ignore` are not in it."""
        root = resolve(self.spec.root, "")
        files = [
            (path.relative_to(root).as_posix(), size)
            for pair in self._listed(split).values()
            for path, size in ((pair.image, pair.image_bytes), (pair.mask, pair.mask_bytes))
        ]
        digest = hashlib.sha256()
        for name, size in sorted(files):
            digest.update(f"{name}\0{size}\n".encode())
        return digest.hexdigest()

    def read_image(self, image: ImageId) -> Image:
        """The image at its own size, (H, W, 3). Raises DataError naming the file."""
        return read_rgb(self._pair(image).image)

    def read_mask(self, image: ImageId) -> Mask:
        """The labels at their own size, (H, W). Raises DataError naming the file."""
        return self._read_mask(self._pair(image).mask)

    def check(self) -> Iterator[Sequence[Problem]]:
        """Read every file of both splits; yields once for each image, its problems or nothing."""
        pairs = [pair for split in Split for pair in self._listed(split).values()]
        readers = ThreadPoolExecutor(_READERS, thread_name_prefix="check")
        try:
            yield from readers.map(self._check, pairs)
        finally:
            readers.shutdown(cancel_futures=True)

    def _check(self, pair: Pair) -> Sequence[Problem]:
        problems: list[Problem] = []
        shapes: list[tuple[int, ...]] = []
        for read, path in ((read_rgb, pair.image), (self._read_mask, pair.mask)):
            try:
                shapes.append(read(path).shape[:2])
            except DataError as err:
                problems += err.problems
        if len(shapes) == 2 and shapes[0] != shapes[1]:
            (height, width), (tall, wide) = shapes
            what = (
                f"the mask is {tall}x{wide} (height x width), its image {pair.frame.id} is "
                f"{height}x{width}; a mask has a value for each pixel of its image"
            )
            problems.append(Problem(str(pair.mask), what))
        return tuple(problems)

    def _listed(self, split: Split) -> dict[ImageId, Pair]:
        if split not in self._pairs:
            val = split is Split.VAL
            half = self.spec.val if val else self.spec
            tree = Tree(
                root=resolve(self.spec.root, ""),
                images=half.images,
                masks=half.masks,
                loc=("val",) if val else (),
            )
            pairs = list_pairs(tree, self.spec.sequence)
            self._pairs[split] = {pair.frame.id: pair for pair in pairs}
        return self._pairs[split]

    def _pair(self, image: ImageId) -> Pair:
        for split in Split:
            pair = self._listed(split).get(image)
            if pair is not None:
                return pair
        root = Path(self.spec.root).absolute()
        raise DataError.at(root, f"it has no image `{image}`; the pool was made of another tree")

    def _read_mask(self, path: Path) -> Mask:
        labels = read_labels(path)
        known = self._lookup[labels if labels.dtype == np.uint8 else np.minimum(labels, 256)]
        if (known < 0).any():
            values = np.unique(labels[known < 0])
            shown = ", ".join(str(value) for value in values[:10])
            more = f" and {len(values) - 10} more" if len(values) > 10 else ""
            what = (
                f"values {shown}{more} stand for no class: `classes` has {len(self.classes)} "
                f"names, so 0 to {len(self.classes) - 1} are valid, and {self._ignored()} count "
                "for nothing. Name the classes that are missing, or set `ignore`"
            )
            raise DataError.at(path, what)
        return known.astype(np.uint8)

    def _ignored(self) -> str:
        others = () if self.spec.ignore in (None, IGNORE) else (self.spec.ignore,)
        return " and ".join(str(value) for value in (*others, IGNORE))


def _lookup(classes: int, ignore: int | None) -> NDArray[np.int16]:
    """Mask value to class id; -1 where a value means nothing, 256 stands for all above 255."""
    lookup = np.full(257, -1, np.int16)
    lookup[:classes] = np.arange(classes)
    lookup[IGNORE] = IGNORE
    if ignore is not None:
        lookup[ignore] = IGNORE
    return lookup
