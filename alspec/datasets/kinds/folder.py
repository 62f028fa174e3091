"""The dataset kind `folder`: a tree of images and a tree of masks with the same names."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from alspec.datasets.base import IGNORE, Mask, Split
from alspec.datasets.files.decoding import read_labels
from alspec.datasets.files.label_maps import ValueTable
from alspec.datasets.files.listing import (
    IMAGE_SUFFIXES,
    MASK_SUFFIXES,
    Files,
    Pair,
    Tree,
    join,
    list_pairs,
)
from alspec.datasets.files.paired import PairedFiles, RootedSpec
from alspec.spec.model import DatasetSpec, Frozen


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


class Spec(Half, RootedSpec):
    """A tree that any person has; image and mask have the same path but for the extension."""

    HOLDS: ClassVar[str] = "`images` and `masks`"
    VALIDATION_ONLY: ClassVar[frozenset[str]] = frozenset({"val"})

    kind: Literal["folder"]
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


class Folder(PairedFiles):
    """Images and masks in folders; see `Spec` for what the user says about them."""

    kind: ClassVar[str] = "folder"
    Spec: ClassVar[type[DatasetSpec]] = Spec
    PARTLY_LABELLED: ClassVar[bool] = False
    """Whether images without a mask are listed in the pool as well."""

    def __init__(self, spec: Any) -> None:
        super().__init__(spec)
        classes = {value: value for value in range(len(spec.classes))}
        ignored = () if spec.ignore in (None, IGNORE) else (spec.ignore,)
        meaning = (
            f"`classes` has {len(classes)} names, so 0 to {len(classes) - 1} are valid, and "
            f"{' and '.join(str(value) for value in (*ignored, IGNORE))} count for nothing. "
            "Name the classes that are missing, or set `ignore`"
        )
        self._table = ValueTable(classes | dict.fromkeys(ignored, IGNORE), meaning)

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; the position is the class id."""
        names: tuple[str, ...] = self.spec.classes
        return names

    def list_split(self, split: Split) -> list[Pair]:
        """The pairs of a split in time order. Raises DataError, all problems at once."""
        half, loc = (self.spec.val, ("val",)) if split is Split.VAL else (self.spec, ())
        pattern = self.spec.sequence
        tree = Tree(
            root=self.root,
            images=_files(half.images, "images", IMAGE_SUFFIXES, "", loc),
            masks=_files(half.masks, "masks", MASK_SUFFIXES, ".png", loc),
            sequence=lambda key: _video(pattern, key),
            no_video=lambda key: (
                f"`sequence` {pattern} does not match `{key}`; every image needs a sequence"
            ),
            partly_labelled=self.PARTLY_LABELLED and split is Split.POOL,
        )
        return list_pairs(tree)

    def read_mask_file(self, path: Path) -> Mask:
        """A mask file as class ids and `IGNORE`, (H, W). Raises DataError naming the file."""
        return self._table.apply(read_labels(path), path)


def _files(
    folder: str, field: str, suffixes: frozenset[str], suffix: str, loc: tuple[str, ...]
) -> Files:
    def key(path: str) -> str | None:
        name = path if folder == "." else path.removeprefix(f"{folder}/")
        stem, end = os.path.splitext(name)  # noqa: PTH122 - 80,000 Path objects are slow
        return stem if end.lower() in suffixes else None

    return Files(
        folders=(folder,),
        key=key,
        path=lambda key: join(folder, key) + suffix,
        what=f"{field} in this folder ({', '.join(sorted(suffixes))})",
        loc=(*loc, field),
    )


def _video(pattern: str | None, key: str) -> str | None:
    if pattern is None:
        return ""
    found = re.search(pattern, key)
    return found.group(1) if found else None
