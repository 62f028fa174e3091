"""A dataset's frames to a pool of the redundancy that the spec asks for."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alspec.datasets.base import Frame
from alspec.datasets.pools.duplicates import duplicates_of, original_of
from alspec.errors import DataError, Problem
from alspec.spec.model import (
    AllFrames,
    AugmentedFrames,
    EveryNth,
    FollowingFrames,
    ListedFrames,
    Redundancy,
)
from alspec.system.reading import read_text_file

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Pool:
    """The frames that can be labelled.

    Attributes:
        frames: no frame twice, in the dataset's order, which is time; duplicates right after the
            frame they were made of.
        notes: what the user should know about how the pool came about.
    """

    frames: tuple[Frame, ...]
    notes: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        """SHA-256 over the ids in their order."""
        return hashlib.sha256("\n".join(frame.id for frame in self.frames).encode()).hexdigest()


def build_pool(redundancy: Redundancy, frames: Sequence[Frame]) -> Pool:
    """The pool that `redundancy` makes of all frames of a dataset's pool split.

    Args:
        redundancy: how frames are chosen.
        frames: the whole split, each frame once, in time order inside each sequence.

    Raises:
        DataError: more frames are asked for than there are, or a list names unknown frames.
    """
    match redundancy:
        case AllFrames():
            return Pool(tuple(frames))
        case EveryNth(n=n):
            return Pool(candidates(frames, n))
        case FollowingFrames():
            return Pool(_following(redundancy, frames))
        case AugmentedFrames():
            return Pool(_augmented(redundancy, frames))
        case ListedFrames():
            return _listed(Path(redundancy.path), frames)


def short_name(redundancy: Redundancy) -> str:
    """What tables call a pool: `all`, `every-5`, `frames-440x6` (groups x frames), `aug-440x6`."""
    match redundancy:
        case AllFrames():
            return "all"
        case EveryNth(n=n):
            return f"every-{n}"
        case FollowingFrames(size=size, consecutive=consecutive):
            return f"frames-{size // (consecutive + 1)}x{consecutive + 1}"
        case AugmentedFrames(size=size, duplicates=duplicates):
            return f"aug-{size // (duplicates + 1)}x{duplicates + 1}"
        case ListedFrames(path=path):
            return f"list-{Path(path).stem}"


def candidates(frames: Sequence[Frame], every: int) -> tuple[Frame, ...]:
    """Every n-th frame of each sequence, the first included, in the order given."""
    chosen = {place for places in _by_sequence(frames) for place in places[::every]}
    return tuple(frame for place, frame in enumerate(frames) if place in chosen)


def _by_sequence(frames: Sequence[Frame]) -> list[list[int]]:
    """For each sequence the places of its frames."""
    places: dict[str, list[int]] = {}
    for place, frame in enumerate(frames):
        places.setdefault(frame.sequence, []).append(place)
    return list(places.values())


def _following(redundancy: FollowingFrames, frames: Sequence[Frame]) -> tuple[Frame, ...]:
    """Random groups of neighbours, none overlapping.

    A sequence of n frames has room for n // length groups. How many each sequence gives is sampled
    without replacement from all that room, so any number that fits can be had; with single frames
    this is plain sampling. Inside a sequence every arrangement is equally likely.
    """
    length = redundancy.consecutive + 1
    groups = redundancy.size // length
    sequences = _by_sequence(frames)
    room = [len(places) // length for places in sequences]
    if groups > sum(room):
        what = (
            f"{redundancy.size} frames in groups of {length} are {groups} groups, but only "
            f"{sum(room)} fit into the {len(frames)} frames of {len(sequences)} sequences without "
            f"overlap. Use size {sum(room) * length} or less, or a smaller `consecutive`"
        )
        raise DataError([Problem("redundancy", what, loc=("redundancy", "size"))])
    rng = np.random.default_rng(redundancy.seed)
    shares = rng.multivariate_hypergeometric(room, groups, method="marginals")
    chosen: set[int] = set()
    for places, share in zip(sequences, shares.tolist(), strict=True):
        for start in _starts(len(places), share, length, rng):
            chosen.update(places[start : start + length])
    return tuple(frame for place, frame in enumerate(frames) if place in chosen)


def _starts(frames: int, groups: int, length: int, rng: np.random.Generator) -> Iterator[int]:
    """First places of `groups` groups that do not overlap, every arrangement equally likely.

    Shrink each group to one place, choose places, stretch them again.
    """
    shrunk = np.sort(rng.choice(frames - groups * (length - 1), size=groups, replace=False))
    yield from (shrunk + np.arange(groups) * (length - 1)).tolist()


def _augmented(redundancy: AugmentedFrames, frames: Sequence[Frame]) -> tuple[Frame, ...]:
    """Random frames, every choice equally likely, each with its duplicates behind it."""
    originals = redundancy.size // (redundancy.duplicates + 1)
    if originals > len(frames):
        what = (
            f"{redundancy.size} images with {redundancy.duplicates} duplicates of each frame need "
            f"{originals} frames, but there are {len(frames)}. Use size "
            f"{len(frames) * (redundancy.duplicates + 1)} or less, or more `duplicates`"
        )
        raise DataError([Problem("redundancy", what, loc=("redundancy", "size"))])
    taken = next((frame.id for frame in frames if original_of(frame.id)), None)
    if taken is not None:
        what = f"`{taken}` reads as a duplicate of another image; rename it, or use another pool"
        raise DataError([Problem("redundancy", what, loc=("redundancy", "kind"))])
    rng = np.random.default_rng(redundancy.seed)
    chosen = np.sort(rng.choice(len(frames), size=originals, replace=False)).tolist()
    return tuple(
        frame
        for place in chosen
        for frame in (frames[place], *duplicates_of(frames[place], redundancy.duplicates))
    )


def _listed(path: Path, frames: Sequence[Frame]) -> Pool:
    lines = _first_lines(path)
    known = {frame.id for frame in frames}
    unknown = [(name, numbers[0]) for name, numbers in lines.items() if name not in known]
    if unknown:
        like = f"its ids look like `{frames[0].id}`" if frames else "it has no images"
        problems = [
            Problem(
                f"{path}:{number}", f"no image {_named(name)} in the dataset; {like}", loc=_LIST
            )
            for name, number in unknown[:_SHOWN]
        ]
        if len(unknown) > _SHOWN:
            problems.append(Problem(str(path), f"and {len(unknown) - _SHOWN} more unknown ids"))
        raise DataError(problems)
    if not lines:
        raise DataError([Problem(str(path), "it names no image; write one id a line", loc=_LIST)])
    repeats = sum(len(numbers) - 1 for numbers in lines.values())
    notes = []
    if repeats:
        first, second = min(numbers[:2] for numbers in lines.values() if len(numbers) > 1)
        which = f"the first is line {second}, which repeats line {first}"
        notes.append(f"{path.name}: {repeats} repeated lines count once ({which})")
    return Pool(tuple(frame for frame in frames if frame.id in lines), tuple(notes))


def _named(line: str) -> str:
    """A line of a list, if it looks like an image's id: any file may be named as a list."""
    return f"`{line}`" if _IMAGE.fullmatch(line) else "as in this line"


_IMAGE = re.compile(r"[^\s:=]{1,200}\.(?:jpe?g|png|bmp|gif|tiff?|webp)(?:#\d+)?", re.IGNORECASE)

_LIST = ("redundancy", "path")


def _first_lines(path: Path) -> dict[str, list[int]]:
    """For each id of a list file the numbers of its lines, from 1."""
    try:
        text = read_text_file(path)
    except (OSError, UnicodeDecodeError) as err:
        reason = err.strerror if isinstance(err, OSError) else "it is not UTF-8 text"
        what = f"the list of frames cannot be read: {reason}. Correct `redundancy.path`"
        raise DataError([Problem(str(path.absolute()), what, loc=_LIST)]) from err
    lines: dict[str, list[int]] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        name = line.strip()
        if name and not name.startswith("#"):
            lines.setdefault(name, []).append(number)
    return lines
