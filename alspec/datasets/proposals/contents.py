"""What masks hold, as values or colours; which size images have, and which videos they are of."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alspec.datasets.base import IGNORE
from alspec.datasets.files.decoding import read_colours, read_labels
from alspec.datasets.files.label_fields import read_label_map
from alspec.errors import DataError
from alspec.system.reading import read_text_file

MOST_READ = 500
MOST_CLASSES = 64
"""More values than this are rather the numbers of objects than classes."""

_SHOWN = 32
_WHOLE = 0.75
"""Share of the values up to the highest that have to occur where some lack in few masks."""


@dataclass(frozen=True)
class MaskContents:
    """What masks hold.

    Attributes:
        shares: of the pixels that each value or `#rrggbb` has, in order of the values.
        examples: the mask with most pixels of each.
        read: masks that were read.
        of: masks that are there.
        names: of values or colours, from a file beside the masks.
        label_map: the path of such a file, below the tree's root, where it names colours.
    """

    shares: Mapping[str, float]
    examples: Mapping[str, Path]
    read: int
    of: int
    names: Mapping[str, str]
    label_map: str = ""

    @property
    def is_coloured(self) -> bool:
        """Whether masks hold colours."""
        return any(code.startswith("#") for code in self.shares)

    @property
    def classes(self) -> tuple[str, ...]:
        """The values or colours that are classes; beside several others 255 is none."""
        codes = tuple(code for code in self.shares if code != str(IGNORE) or len(self.shares) <= 2)
        if self.is_coloured or len(codes) > MOST_CLASSES:
            return codes
        values = [int(code) for code in codes]
        if not values or max(values) > IGNORE:
            return codes
        count = max(2, max(values) + 1)
        few = self.of < MOST_READ and count > 4 and len(values) >= _WHOLE * count
        return tuple(map(str, range(count))) if few or values in ([0], [1]) else codes

    @property
    def are_positions(self) -> bool:
        """Whether the classes' values are 0, 1, 2 …, so that a list of names says all."""
        return self.classes == tuple(map(str, range(len(self.classes))))

    @property
    def are_named(self) -> bool:
        """Whether a file beside the masks names every class."""
        return set(self.names) >= set(self.classes)

    def default_names(self) -> list[str]:
        """Names for the classes: those of a file beside the masks, or invented ones."""
        codes = self.classes
        invented = [code if self.is_coloured else f"class_{code}" for code in codes]
        if self.is_coloured:
            invented = [f"class_{number}" for number in range(len(codes))]
        return [self.names.get(code, name) for code, name in zip(codes, invented, strict=True)]

    def as_yaml(self, names: Sequence[str | None]) -> dict[str, str | None]:
        """The spec's keys for classes of these names.

        Args:
            names: of `classes`, in their order; None for one that counts for nothing. Values of
                one name are one class.
        """
        if self.label_map and list(names) == self.default_names():
            return {"classes": None, "colours": yaml_text(self.label_map)}
        named = {code: name for code, name in zip(self.classes, names, strict=True) if name}
        quoted = {code: json.dumps(code) if self.is_coloured else code for code in self.classes}
        without = [quoted[code] for code in self.classes if code not in named]
        positions = list(named) == list(map(str, range(len(named))))
        is_list = positions and len(set(named.values())) == len(named)
        if not is_list:  # only without `values` is 255 ignored by itself
            without += [code for code in self.shares if code not in self.classes]
        ignored: dict[str, str | None] = {}
        if without:
            ignored["ignore"] = without[0] if len(without) == 1 else f"[{', '.join(without)}]"
        if is_list:
            return {"classes": f"[{', '.join(map(yaml_text, named.values()))}]", **ignored}
        table = ", ".join(f"{quoted[code]}: {yaml_text(name)}" for code, name in named.items())
        key = "colours" if self.is_coloured else "values"
        return {"classes": None, key: f"{{{table}}}", **ignored}

    def in_words(self) -> str:
        """Values with their shares."""
        shown = [f"{code} ({100 * share:.3g} %)" for code, share in self.shares.items()][:_SHOWN]
        more = f" and {len(self.shares) - _SHOWN} more" if len(self.shares) > _SHOWN else ""
        which = f"{self.read:,} of the masks" if self.read < self.of else "the masks"
        kind = "colours" if self.is_coloured else "values"
        return f"{which} hold the {kind} {', '.join(shown)}{more}, with their shares of the pixels"


def read_contents(root: Path, masks: Sequence[Path]) -> MaskContents:
    """Read masks: all, or five hundred of them; those that cannot be read say nothing.

    Args:
        root: of the tree, where a file may name the classes.
        masks: files.
    """
    step = max(1, -(-len(masks) // MOST_READ))
    counts: Counter[str] = Counter()
    most: dict[str, tuple[int, Path]] = {}
    read = 0
    for path in masks[::step]:
        found = _counts(path)
        counts.update(found)
        for code, pixels in found.items():
            if pixels > most.get(code, (0, path))[0]:
                most[code] = pixels, path
        read += bool(found)
    total = counts.total() or 1
    codes = sorted(counts, key=lambda code: (code.startswith("#"), len(code), code))
    shares = {code: counts[code] / total for code in codes}
    names, label_map = _names(root, masks)
    if label_map and not shares.keys() <= names.keys():
        names, label_map = {}, ""
    examples = {code: path.relative_to(root) for code, (_, path) in most.items()}
    return MaskContents(shares, examples, read, len(masks), names, label_map)


def _counts(path: Path) -> dict[str, int]:
    """Pixels of each value, or of each colour of a mask with colours."""
    try:
        labels = read_labels(path)
        counts = np.bincount(labels.ravel())
        return {str(value): int(counts[value]) for value in np.flatnonzero(counts)}
    except DataError:
        pass
    try:
        pixels = read_colours(path)
    except DataError:
        return {}
    packed = pixels.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    found, times = np.unique(packed, return_counts=True)
    if len(found) > IGNORE:
        return {}
    return {f"#{int(c):06x}": int(n) for c, n in zip(found, times, strict=True)}


def _names(root: Path, masks: Sequence[Path]) -> tuple[dict[str, str], str]:
    """Classes named by Roboflow's `_classes.csv` or CVAT's `labelmap.txt`, near the masks."""
    folders = dict.fromkeys([root, *(parent for path in masks[:1] for parent in path.parents)])
    near = [folder for folder in folders if folder.is_relative_to(root)]
    for folder in near:
        try:
            text = read_text_file(folder / "_classes.csv")
        except (OSError, UnicodeDecodeError):
            continue
        rows = [[cell.strip() for cell in row] for row in csv.reader(text.splitlines())]
        return {row[0]: row[1] for row in rows if len(row) == 2 and row[0].isdigit()}, ""
    for folder in near:
        file = folder / "labelmap.txt"
        if file.is_file():
            try:
                return read_label_map(file), file.relative_to(root).as_posix()
            except DataError:
                continue
    return {}, ""


def proposed_size(size: tuple[int, int], short: int) -> list[int]:
    """Height and width with a short side of at most `short`, multiples of 8 pixels."""
    scale = min(1.0, short / min(size))
    return [max(16, round(side * scale / 8) * 8) for side in size]


def guess_sequence(names: Sequence[str]) -> tuple[str, int] | None:
    """A pattern that finds the video of a name, and the videos: few of them with many frames each.

    >>> guess_sequence([f"{video}/{frame}" for video in "ab" for frame in range(5)])
    ('^(.*)/', 2)
    """
    for pattern, shape in (("^(.*)/", "^(.*)/[^/]+$"), ("^(.*)_", r"^(.*)_[A-Za-z]*[0-9]+$")):
        videos = Counter(found[1] for name in names if (found := re.match(shape, name)))
        if videos.total() == len(names) and 1 < len(videos) <= len(names) / 5:
            return pattern, len(videos)
    return None


def yaml_text(value: str) -> str:
    """Text as YAML, in quotes only where it needs them."""
    words = ("true", "false", "yes", "no", "on", "off", "null")
    plain = re.fullmatch(r"[A-Za-z_./][A-Za-z0-9_./-]*", value) and value.lower() not in words
    return value if plain else json.dumps(value, ensure_ascii=False)
