"""One tree to the pool and the validation set: by lists, by sequences, or at random."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from alspec.datasets.base import Split
from alspec.datasets.files.listing import IMAGE_SUFFIXES, MASK_SUFFIXES, Pair
from alspec.datasets.files.naming import below
from alspec.datasets.files.split_fields import ValFraction, ValSequences
from alspec.errors import DataError, Problem
from alspec.system.reading import read_text_file

if TYPE_CHECKING:
    import regex

_SUFFIXES = IMAGE_SUFFIXES | MASK_SUFFIXES


PATTERN_SECONDS = 2.0
"""For a pattern to be found in a name; it takes microseconds."""


class ListedNames:
    """The images that a list names, as people write such lists.

    A line is an image's path below the root or below its folder, or its name, each with or without
    extension; of two paths on a line the first counts, as in `images/a.jpg masks/a.png`.

    Args:
        path: the list.
        loc: where the spec names it.

    Raises:
        DataError: it cannot be read, or names nothing.
    """

    def __init__(self, path: Path, loc: tuple[str | int, ...]) -> None:
        self._path, self._loc = path, loc
        try:
            text = read_text_file(path)
        except (OSError, UnicodeDecodeError) as err:
            reason = err.strerror if isinstance(err, OSError) else "it is not UTF-8 text"
            what = f"the list cannot be read: {reason}. Correct `{'.'.join(map(str, loc))}`"
            raise DataError([Problem(str(path.absolute()), what, loc=loc)]) from err
        self._lines: dict[str, int] = {}
        self._found: dict[str, set[str]] = {}
        for number, line in enumerate(text.split("\n"), start=1):
            if name := _name_of(line):
                self._lines.setdefault(name, number)
        if not self._lines:
            what = "the list names no image; write one a line"
            raise DataError([Problem(str(path.absolute()), what, loc=loc)])

    def has(self, path: str, folder: str) -> bool:
        """Whether the list names an image file.

        Args:
            path: below the root.
            folder: of the images, below the root.
        """
        inner = below(folder, path)
        forms = (path, inner, inner.rpartition("/")[2])
        for form in (*forms, *(os.path.splitext(form)[0] for form in forms)):  # noqa: PTH122
            name = _composed(form)
            if name in self._lines:
                self._found.setdefault(name, set()).add(path)
                return True
        return False

    def problems(self) -> list[Problem]:
        """Names that `has` met no image for, or several."""
        unknown = [(line, name) for name, line in self._lines.items() if name not in self._found]
        found = []
        if unknown:
            line, name = unknown[0]
            counts = f"{len(unknown):,} of {len(self._lines):,}"
            what = f"{counts} names are no image; the first is {_shown(name)}"
            found.append(Problem(f"{self._path}:{line}", what, loc=self._loc))
        several = next((item for item in self._found.items() if len(item[1]) > 1), None)
        if several:
            name, paths = several
            two = " and ".join(sorted(paths)[:2])
            what = f"`{name}` names {len(paths)} images, as {two}; write paths"
            found.append(Problem(f"{self._path}:{self._lines[name]}", what, loc=self._loc))
        return found


def _name_of(line: str) -> str:
    name = line.strip()
    if not name or name.startswith("#"):
        return ""
    words = name.split()
    ends = [os.path.splitext(word)[1].lower() in _SUFFIXES for word in words]  # noqa: PTH122
    name = words[0] if len(words) == 2 and all(ends) else name
    return _composed(name.replace("\\", "/").removeprefix("./"))


def _shown(name: str) -> str:
    """A line of a list, if it may be an image's name: any file may be named as a list."""
    return f"`{name}`" if re.fullmatch(r"[\w.\-/ ]{1,60}", name) else "in this line"


def _composed(name: str) -> str:
    return name if name.isascii() else unicodedata.normalize("NFC", name)


@cache
def _compiled(pattern: str) -> regex.Pattern[str]:
    import regex  # slow to load, and like `re`, but with an end

    return regex.compile(pattern)


def sequence_of(pattern: str | None, key: str) -> str | None:
    """The video of a key by a pattern of one group; empty without one, None for no match.

    Raises:
        DataError: the pattern takes seconds on a name, as `(a+)+$` does.
    """
    if pattern is None:
        return ""
    try:
        found = _compiled(pattern).search(key, timeout=PATTERN_SECONDS)
    except TimeoutError as err:
        what = (
            f"`sequence` {pattern} takes more than {PATTERN_SECONDS:.0f} s on one name; write it "
            "without repetitions inside repetitions"
        )
        raise DataError([Problem(key, what, loc=("sequence",))]) from err
    return found.group(1) if found else None


def divided(
    pairs: Sequence[Pair], val: ValSequences | ValFraction, *, has_sequences: bool
) -> dict[Split, list[Pair]]:
    """Pool and validation set of a tree, by whole sequences.

    Args:
        pairs: of the whole tree, in time order.
        val: which sequences measure, or what share.
        has_sequences: the spec names videos; otherwise each image is sampled on its own.

    Raises:
        DataError: a sequence is unknown, or one half stays empty.
    """
    names = [pair.frame.sequence if has_sequences else pair.frame.id for pair in pairs]
    if isinstance(val, ValSequences):
        chosen = set(val.sequences)
        known = dict.fromkeys(names)
        unknown = [name for name in val.sequences if name not in known]
        if unknown:
            shown = ", ".join(f"`{name}`" for name in list(known)[:10]) if has_sequences else ""
            what = f"there is no sequence `{unknown[0]}`. " + (
                f"There are {len(known)}, as {shown}" if shown else "Give `sequence` to name them"
            )
            raise DataError([Problem("val", what, loc=("val", "sequences"))])
    else:
        chosen = _drawn(names, val)
    halves: dict[Split, list[Pair]] = {split: [] for split in Split}
    for pair, name in zip(pairs, names, strict=True):
        halves[Split.VAL if name in chosen else Split.POOL].append(pair)
    if not all(halves.values()):
        what = "no image is left for the pool; name fewer sequences, or a smaller fraction"
        raise DataError([Problem("val", what, loc=("val",))])
    return halves


def _drawn(names: Sequence[str], val: ValFraction) -> set[str]:
    """Sequences in random order until they have the share of the images, one at least."""
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    order = sorted(counts)
    wanted, chosen = val.fraction * len(names), set[str]()
    for place in np.random.default_rng(val.seed).permutation(len(order)).tolist():
        if chosen and wanted <= 0:
            break
        chosen.add(order[place])
        wanted -= counts[order[place]]
    return chosen
