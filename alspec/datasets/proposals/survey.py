"""Which folders of a tree hold images and masks: names, and the first file of each folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from PIL import Image

from alspec.datasets.files.listing import IMAGE_SUFFIXES, MASK_SUFFIXES

MOST_FILES = 200_000
_DEEPEST = 4
_SKIPPED = frozenset({"__MACOSX", "work_dirs", "node_modules"})
_VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v"})
_MOST_COLOURS = 64

_MASK_WORDS = r"masks?|label(?!l?ed)\w*|annot(?!ated)\w*|truth|segm\w*|groundtruth|matte"
_NAMED_MASKS = re.compile(rf"(?<!un)(?:{_MASK_WORDS})|(?:^|[^a-z])(?:gt|seg)", re.IGNORECASE)
_NAMED_IMAGES = re.compile(r"^(?:images?|imgs?|frames?|rgb|photos?|pictures?|scans?)$", re.I)
_VAL_WORDS = re.compile(r"(?:^|[_. -])(?:val(?!u|l)|dev(?!ice)|eval|test)", re.IGNORECASE)
_MARKED = re.compile(
    rf"^(.+?)([_. -]+[a-z]*(?:{_MASK_WORDS}|gt|seg|colou?rs?|instance(?:ids)?)[0-9]?)$",
    re.IGNORECASE,
)
_NOT_CLASSES = re.compile("colou?r|instance", re.IGNORECASE)
_ONE_BAND = ("1", "L", "P", "I", "I;16", "I;16B")


@dataclass(frozen=True, eq=False)
class ImageGroup:
    """Image files at and below a folder that are named alike.

    Attributes:
        path: the folder, below the tree's root, with forward slashes; `.` for the root itself.
        files: the file of each name, from here and without extension.
        ending: what the names end with where others of the folder end otherwise, as `_mask`.
    """

    path: str
    files: Mapping[str, Path]
    ending: str = ""

    def __len__(self) -> int:
        return len(self.files)

    @property
    def parts(self) -> tuple[str, ...]:
        """The folders of its path."""
        return PurePosixPath(self.path).parts

    @property
    def first(self) -> Path:
        """Its first file."""
        return next(iter(self.files.values()))

    @property
    def is_val(self) -> bool:
        """Whether a folder's name says that it is to measure on."""
        return any(_VAL_WORDS.search(part) for part in self.parts)

    @property
    def is_named_masks(self) -> bool:
        """Whether its name, or the names of its files, say that they are masks."""
        if self.ending:
            return True
        if self.parts and _NAMED_IMAGES.match(self.parts[-1]):
            return False
        return any(_NAMED_MASKS.search(part) for part in self.parts)

    @property
    def is_lossy(self) -> bool:
        """Whether its first file can be no mask, as its format changes values."""
        return self.first.suffix.lower() not in MASK_SUFFIXES

    def overlaps(self, other: ImageGroup) -> bool:
        """Whether one's folder is, or lies in, the other's."""
        one, two = PurePosixPath(self.path), PurePosixPath(other.path)
        return one.is_relative_to(two) or two.is_relative_to(one)


@dataclass(frozen=True)
class Survey:
    """What a tree holds.

    Attributes:
        groups: images or masks by folder, uppermost folders first.
        loose: image files in the root itself.
        videos: files of video.
        links: folders in the root that are links, which are not looked into.
        too_many: there are more images than are looked at; there is nothing else then.
    """

    groups: tuple[ImageGroup, ...] = ()
    loose: int = 0
    videos: tuple[Path, ...] = ()
    links: tuple[str, ...] = ()
    too_many: bool = False


def survey(root: Path) -> Survey:
    """List the folders below a root, each with the image files at and below it.

    Hidden folders, results of alspec and what lies deeper than four folders are passed over.
    """
    found: dict[str, dict[str, Path]] = {}
    loose: dict[str, Path] = {}
    videos: list[Path] = []
    seen = 0
    for path in _files_below(root):
        suffix = path.suffix.lower()
        if suffix in _VIDEO_SUFFIXES:
            videos.append(path)
        if suffix not in IMAGE_SUFFIXES:
            continue
        seen += 1
        if seen > MOST_FILES:
            return Survey(too_many=True)
        below = path.relative_to(root)
        if len(below.parts) == 1:
            loose[below.name] = path
        for parent in list(below.parents)[:-1]:
            names = found.setdefault(parent.as_posix(), {})
            names[below.relative_to(parent).as_posix()] = path
    groups = [group for path, names in found.items() for group in _by_ending(path, names)]
    if not groups:
        groups = list(_by_ending(".", loose))
    groups.sort(key=lambda group: (len(group.parts), group.path, group.ending))
    links = sorted(path.name for path in root.iterdir() if path.is_symlink() and path.is_dir())
    return Survey(tuple(groups), len(loose), tuple(videos), tuple(links))


def _files_below(root: Path) -> Iterator[Path]:
    for folder, names, files in os.walk(root):
        names[:] = sorted(
            name for name in names if not name.startswith(".") and name not in _SKIPPED
        )
        if len(Path(folder).relative_to(root).parts) >= _DEEPEST:
            names[:] = []
        yield from (Path(folder, name) for name in sorted(files) if not name.startswith("."))


def _by_ending(path: str, names: Mapping[str, Path]) -> Iterator[ImageGroup]:
    """A folder's files: one group, or as many as endings like `_mask` tell apart.

    Of two files that differ in their extension alone, the one that can be a mask is taken for one.
    """
    stems: dict[str, dict[str, Path]] = {}
    for name, file in names.items():
        stem, suffix = os.path.splitext(name)  # noqa: PTH122 - many Path objects are slow
        stems.setdefault(stem, {})[suffix.lower()] = file
    groups: dict[str, dict[str, Path]] = {}
    for stem, files in stems.items():
        marked = _MARKED.match(PurePosixPath(stem).name)
        for suffix, file in files.items():
            is_twin = len(files) > 1 and suffix in MASK_SUFFIXES
            ending = suffix if is_twin else marked[2] if marked else ""
            groups.setdefault(ending, {})[stem] = file
    if "" not in groups and len(groups) == 1:  # all of them end so: nothing to tell apart
        groups = {"": groups.popitem()[1]}
    for ending, own in groups.items():
        if not _NOT_CLASSES.search(ending):
            yield ImageGroup(path, own, ending)


def can_be_masks(group: ImageGroup) -> bool:
    """Whether its first file may be a mask: one band, a palette, or few colours."""
    if group.is_lossy:
        return False
    try:
        with Image.open(group.first) as image:
            if image.mode in _ONE_BAND:
                return True
            return group.is_named_masks and bool(image.convert("RGB").getcolors(_MOST_COLOURS))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False


def values_of(path: Path) -> int:
    """How many values a file of one band holds; 0 where it cannot be read, or has more bands."""
    try:
        with Image.open(path) as image:
            return len(image.getcolors(1 << 16) or ()) if image.mode in _ONE_BAND else 0
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return 0


def size_of(path: Path) -> tuple[int, int] | None:
    """Height and width of an image file; None where it cannot be read."""
    try:
        with Image.open(path) as image:
            return image.height, image.width
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def outermost(groups: Iterable[ImageGroup]) -> list[ImageGroup]:
    """The largest first; of equally large ones the uppermost, and none that lies in another."""
    chosen: list[ImageGroup] = []
    for group in sorted(groups, key=lambda group: (-len(group), len(group.parts), group.path)):
        if not any(group.overlaps(other) for other in chosen):
            chosen.append(group)
    return chosen
