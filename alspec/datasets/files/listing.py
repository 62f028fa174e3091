"""Folders of images and masks to pairs of files in time order; names and sizes, never pixels."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from alspec.datasets.base import Frame, ImageId
from alspec.datasets.files.contents import ListedFile
from alspec.datasets.files.pairing import missing_images, missing_masks
from alspec.errors import DataError, Problem, grouped

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})
MASK_SUFFIXES = frozenset({".png", ".bmp", ".gif", ".tif", ".tiff"})
LOSSY_SUFFIXES = frozenset({".jpg", ".jpeg"})
"""Suffixes of files that cannot be masks, and are named where a mask is missing."""

_SHOWN = 20
_NUMBERS = re.compile("([0-9]+)")
_Order: TypeAlias = tuple[list[str | int], str]


def _nothing(_: str) -> None:
    """No key."""


@dataclass(frozen=True, slots=True)
class Files:
    """The images of a split, or its masks.

    Attributes:
        folders: where they lie, below the tree's root, with forward slashes.
        key: what an image and its mask have in common, from a file's path below the root; None
            for a file of another kind, which is passed over.
        path: the path below the root that the file of a key is expected to have.
        what: how such a file is known, as `*_leftImg8bit.png`.
        loc: where the spec names them.
        lossy: as `key`, for a file that would be a mask if it were no JPEG.
        lossy: as `key`, for a file that would be one if its compression left values as they are.
    """

    folders: tuple[str, ...]
    key: Callable[[str], str | None]
    path: Callable[[str], str]
    what: str
    loc: tuple[str, ...] = ("root",)
    lossy: Callable[[str], str | None] = _nothing


@dataclass(frozen=True, slots=True)
class Tree:
    """A split as it lies on disk.

    Attributes:
        root: the folder that ids are relative to.
        images: the image files.
        masks: the mask files.
        sequence: an image's video, from its key; None where there is none, an error.
        no_video: what is wrong with a key that has no video, in words.
        partly_labelled: images without a mask are listed as well, with the place it will have.
        is_pool: images without a mask may be waiting for their labels.
        some_masks: masks without an image are passed over, as the images of a list are some only.
    """

    root: Path
    images: Files
    masks: Files
    sequence: Callable[[str], str | None]
    no_video: Callable[[str], str] = str
    partly_labelled: bool = False
    is_pool: bool = False
    some_masks: bool = False


@dataclass(frozen=True, slots=True)
class Pair:
    """An image file, its mask file, and its place in time.

    Attributes:
        frame: the image; its id is a path with forward slashes, the same wherever the tree lies.
        image: the image file.
        mask: the mask file; without a state where there is none yet.
    """

    frame: Frame
    image: ListedFile
    mask: ListedFile


def list_pairs(tree: Tree) -> list[Pair]:
    """Images and masks that have one key, sequence by sequence in time order.

    Numbers in names count as numbers: frame 9 comes before frame 10. Hidden files and files of
    other kinds are passed over.

    Raises:
        DataError: a folder is missing or holds nothing, a file has no partner or two files have
            one key, an image is of no sequence; all of it at once.
    """
    _require_folders(tree)
    problems: list[Problem] = []
    images = _by_key(tree.root, tree.images, problems)
    masks = _by_key(tree.root, tree.masks, problems, needed=not tree.partly_labelled)
    if tree.partly_labelled:
        missing = images.keys() - masks.keys()
        masks |= {key: _to_come(tree.root, tree.masks.path(key)) for key in missing}
    if images and (masks or not problems):
        problems += _unpaired(tree, images, masks)
    videos: dict[str, list[tuple[_Order, Pair]]] = {}
    for key in images.keys() & masks.keys():
        image, mask = images[key], masks[key]
        video = tree.sequence(key)
        if video is None:
            what = tree.no_video(key)
            problems.append(Problem(str(tree.root / image.name), what, loc=("sequence",)))
            continue
        pair = Pair(
            frame=Frame(ImageId(image.name), video),
            image=image,
            mask=mask,
        )
        videos.setdefault(video, []).append((natural_order(key), pair))
    if problems:
        # Absolute, as what says that a problem is about a file where the spec's line precedes it.
        placed = [replace(one, where=str(Path(one.where).absolute())) for one in problems]
        raise DataError(capped(tree.root, grouped(placed)))
    return [
        pair
        for video in sorted(videos, key=natural_order)
        for _, pair in sorted(videos[video], key=lambda item: item[0])
    ]


def _to_come(root: Path, name: str) -> ListedFile:
    """A mask that is not there yet."""
    return ListedFile(name, str(root / name), None)


def no_root(root: Path, holds: str) -> DataError:
    """The error for a dataset whose root is not a folder, or the wrong one.

    Args:
        root: as the spec has it.
        holds: what the right folder holds, in words.
    """
    wrong = (
        f"it does not hold {holds}"
        if root.is_dir()
        else ("there is no such folder; a relative `root` starts in the current one")
    )
    what = (
        f"{wrong}. Set `root`, or the environment variable in it, to the folder that holds {holds}"
    )
    return DataError([Problem(str(root.absolute()), what, loc=("root",))])


def capped(where: Path, problems: Sequence[Problem], most: int = _SHOWN) -> list[Problem]:
    """The first problems of a tree, and how many more there are."""
    more = len(problems) - most
    if more <= 0:
        return list(problems)
    rest = Problem(str(where.absolute()), f"and {more} more files with problems like these")
    return [*problems[:most], rest]


def join(folder: str, name: str) -> str:
    """A path below the root, where `.` is the root itself."""
    return name if folder == "." else f"{folder}/{name}"


def _require_folders(tree: Tree) -> None:
    if not tree.root.is_dir():
        folders = [files.folders[0] for files in (tree.images, tree.masks)]
        raise no_root(tree.root, " and ".join(f"`{folder}`" for folder in folders))
    missing = [
        Problem(
            str(tree.root.absolute() / folder),
            f"there is no such folder. Correct `{'.'.join(files.loc)}`, or set `root`, or "
            "the environment variable in it, to the folder that holds it",
            loc=files.loc,
        )
        for files in ((tree.images,) if tree.partly_labelled else (tree.images, tree.masks))
        for folder in files.folders
        if not (tree.root / folder).is_dir()
    ]
    if missing:
        raise DataError(capped(tree.root, missing))


def _by_key(
    root: Path, files: Files, problems: list[Problem], *, needed: bool = True
) -> dict[str, ListedFile]:
    """Key to file; what is wrong goes to `problems`, a lack where one is `needed` included."""
    found: dict[str, ListedFile] = {}
    folders = [folder for folder in files.folders if needed or (root / folder).is_dir()]
    try:
        listed = [file for folder in folders for file in _walk(root, folder, set())]
    except OSError as err:
        what = f"this folder cannot be listed ({err.strerror}); make it readable"
        problems.append(Problem(str(err.filename), what, loc=files.loc))
        return found
    for file in sorted(listed, key=lambda file: file.name):
        key = files.key(file.name)
        if key is None:
            continue
        if not key.isascii():  # macOS writes é as two characters, others as one
            key = unicodedata.normalize("NFC", key)
        if not file.name.isprintable():
            what = f"its name has characters that cannot be printed: {file.name!a}; rename it"
            problems.append(Problem(str(root), what, loc=files.loc))
        elif key in found:
            what = f"it has the same name as {found[key].name}; keep one of the two"
            problems.append(Problem(str(root / file.name), what, loc=files.loc))
        else:
            found[key] = file
    if any(files.lossy(file.name) is not None for file in listed):
        return found  # reported with the images that lack a mask
    if needed and not found and not problems:
        folder = root.absolute() if len(files.folders) > 1 else root.absolute() / files.folders[0]
        problems.append(Problem(str(folder), f"no {files.what}", loc=files.loc))
    return found


def _walk(root: Path, folder: str, seen: set[str]) -> Iterator[ListedFile]:
    """Every file that is not hidden, folders in folders included, a folder never twice."""
    real = os.path.realpath(root / folder)
    if real in seen:
        return
    seen.add(real)
    with os.scandir(root / folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if _leads_nowhere(entry):
                yield ListedFile(join(folder, entry.name), entry.path, None)
            elif entry.is_dir():
                yield from _walk(root, join(folder, entry.name), seen)
            elif entry.is_file():
                name, linked = join(folder, entry.name), entry.is_symlink()
                yield ListedFile(name, entry.path, entry.stat(), linked)


def _leads_nowhere(entry: os.DirEntry[str]) -> bool:
    """Whether this is a link to nothing or in a circle; listed, so that reading it is an error."""
    if not entry.is_symlink():
        return False
    try:
        entry.stat()
    except OSError:
        return True
    return False


def _unpaired(
    tree: Tree, images: Mapping[str, ListedFile], masks: Mapping[str, ListedFile]
) -> Iterator[Problem]:
    if images.keys() == masks.keys() or (tree.some_masks and images.keys() <= masks.keys()):
        return
    jpegs = {
        key: file
        for folder in tree.masks.folders
        for file in _walk(tree.root, folder, set())
        if (key := tree.masks.lossy(file.name)) is not None
    }
    # Few masks are a pool that is being labelled, most masks a tree with holes.
    unlabelled = tree.is_pool and masks.keys() < images.keys() and len(images) > 2 * len(masks)
    waits = unlabelled and bool(masks) and not jpegs
    for problem in missing_masks(images, masks, jpegs, tree.masks.path, tree.masks.loc):
        yield replace(problem, waits_for_labels=waits)
    if not tree.some_masks:
        yield from missing_images(images, masks, tree.images.path, tree.images.loc)


def natural_order(text: str) -> _Order:
    """Numbers as numbers; names that differ in leading zeros alone in the order of their text."""
    parts: list[str | int] = [*_NUMBERS.split(text)]
    parts[1::2] = map(int, parts[1::2])
    return parts, text
