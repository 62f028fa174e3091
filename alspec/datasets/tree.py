"""Folders of images and masks to pairs of files in time order; names and sizes, never pixels."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from alspec.datasets.base import Frame, ImageId
from alspec.errors import DataError, Problem

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})
MASK_SUFFIXES = frozenset({".png", ".bmp", ".tif", ".tiff"})

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Tree:
    """Where the files of a split lie.

    Attributes:
        root: the dataset's folder.
        images: folder below root, forward slashes.
        masks: folder below root, forward slashes.
        loc: where the spec names the two folders, put before `images` and `masks`.
    """

    root: Path
    images: str
    masks: str
    loc: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pair:
    """An image file, its mask file, and its place in time."""

    frame: Frame
    image: Path
    mask: Path
    image_bytes: int
    mask_bytes: int


@dataclass(frozen=True, slots=True)
class _File:
    name: str
    bytes: int


def list_pairs(tree: Tree, sequence: str | None) -> list[Pair]:
    """Images and masks that share a path but for the extension, sequence by sequence in time order.

    Numbers in names count as numbers: frame 9 comes before frame 10. Hidden files and files of
    other kinds are passed over.

    Args:
        tree: the folders.
        sequence: regular expression with one group, searched in an image's path below the images
            folder without its extension; None puts all images into one sequence.

    Raises:
        DataError: a folder is missing or empty, a file has no partner or two files have one name,
            a name that `sequence` does not match; all of it at once.
    """
    _require_folders(tree)
    problems: list[Problem] = []
    images = _files(tree, "images", IMAGE_SUFFIXES, problems)
    masks = _files(tree, "masks", MASK_SUFFIXES, problems)
    problems += _unpaired(tree, images, masks)
    pattern = re.compile(sequence) if sequence is not None else None
    pairs: list[tuple[tuple[object, ...], Pair]] = []
    for stem in sorted(images.keys() & masks.keys()):
        image, mask = images[stem], masks[stem]
        video = _video(pattern, stem)
        if video is None:
            what = f"`sequence` {sequence} does not match `{stem}`; every image needs a sequence"
            path = tree.root / tree.images / image.name
            problems.append(Problem(str(path), what, loc=("sequence",)))
            continue
        frame = Frame(ImageId(_join(tree.images, image.name)), video)
        pair = Pair(
            frame=frame,
            image=tree.root / tree.images / image.name,
            mask=tree.root / tree.masks / mask.name,
            image_bytes=image.bytes,
            mask_bytes=mask.bytes,
        )
        pairs.append(((_natural(video), video, _natural(stem), stem), pair))
    if problems:
        raise DataError(_capped(tree, problems))
    return [pair for _, pair in sorted(pairs, key=lambda item: item[0])]


def _require_folders(tree: Tree) -> None:
    if not tree.root.is_dir():
        what = (
            "there is no such folder. Set `root`, or the environment variable in it, to the folder "
            f"that holds `{tree.images}` and `{tree.masks}`"
        )
        raise DataError([Problem(str(tree.root.absolute()), what, loc=("root",))])
    missing = [
        Problem(
            str(tree.root.absolute() / folder),
            f"there is no such folder. Correct `{'.'.join((*tree.loc, field))}`, or set `root`, or "
            "the environment variable in it, to the folder that holds it",
            loc=(*tree.loc, field),
        )
        for field, folder in (("images", tree.images), ("masks", tree.masks))
        if not (tree.root / folder).is_dir()
    ]
    if missing:
        raise DataError(missing)


def _files(
    tree: Tree, field: str, suffixes: frozenset[str], problems: list[Problem]
) -> dict[str, _File]:
    """Stem to file below one of the tree's folders; what is wrong goes to `problems`."""
    folder = tree.root / (tree.images if field == "images" else tree.masks)
    loc = (*tree.loc, field)
    found: dict[str, _File] = {}
    for file in sorted(_walk(folder, "", set()), key=lambda file: file.name):
        stem, suffix = os.path.splitext(file.name)  # noqa: PTH122 - 80,000 Path objects are slow
        if suffix.lower() not in suffixes:
            continue
        if not file.name.isprintable():
            what = f"its name has characters that cannot be printed: {file.name!a}; rename it"
            problems.append(Problem(str(folder), what, loc=loc))
        elif stem in found:
            what = f"it has the same name as {found[stem].name}; keep one of the two"
            problems.append(Problem(str(folder / file.name), what, loc=loc))
        else:
            found[stem] = file
    if not found and not problems:
        what = f"no {field} in this folder ({', '.join(sorted(suffixes))})"
        problems.append(Problem(str(folder.absolute()), what, loc=loc))
    return found


def _walk(folder: Path, below: str, seen: set[str]) -> Iterator[_File]:
    """Every file that is not hidden, folders in folders included, a folder never twice."""
    real = os.path.realpath(folder)
    if real in seen:
        return
    seen.add(real)
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                yield from _walk(folder / entry.name, f"{below}{entry.name}/", seen)
            elif entry.is_file():
                yield _File(below + entry.name, entry.stat().st_size)


def _unpaired(tree: Tree, images: dict[str, _File], masks: dict[str, _File]) -> Iterator[Problem]:
    for stem in sorted(images.keys() - masks.keys()):
        path = tree.root / tree.images / images[stem].name
        what = (
            f"this image has no mask `{_join(tree.masks, stem)}.png`; add it, or remove the image"
        )
        yield Problem(str(path), what, loc=(*tree.loc, "masks"))
    for stem in sorted(masks.keys() - images.keys()):
        path = tree.root / tree.masks / masks[stem].name
        what = f"this mask has no image `{_join(tree.images, stem)}`; add it, or remove the mask"
        yield Problem(str(path), what, loc=(*tree.loc, "images"))


def _video(pattern: re.Pattern[str] | None, stem: str) -> str | None:
    if pattern is None:
        return ""
    found = pattern.search(stem)
    return found.group(1) if found else None


def _natural(text: str) -> tuple[str | int, ...]:
    parts = re.split("([0-9]+)", text)
    return tuple(int(part) if place % 2 else part for place, part in enumerate(parts))


def _join(folder: str, name: str) -> str:
    return name if folder == "." else f"{folder}/{name}"


def _capped(tree: Tree, problems: list[Problem]) -> list[Problem]:
    more = len(problems) - _SHOWN
    if more <= 0:
        return problems
    rest = Problem(str(tree.root.absolute()), f"and {more} more files with problems like these")
    return [*problems[:_SHOWN], rest]
