"""Whether each class has a pixel to learn from and one to be measured on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from alspec.datasets.base import IGNORE, Split
from alspec.errors import Problem
from alspec.spec.model import DatasetSpec

_WORDS = {Split.POOL: "the pool", Split.VAL: "val"}


def coverage_problems(
    spec: DatasetSpec, classes: Sequence[str], pixels: Mapping[Split, NDArray[np.int64]]
) -> list[Problem]:
    """Classes without a pixel that `absent` does not name, and splits that are mostly ignored.

    Args:
        spec: the dataset, with what it allows.
        classes: names, by class id.
        pixels: of each class id and, last, ignored ones, (C + 1,), over all masks of a split.

    Returns:
        Problems whose `loc` is a place inside the dataset's part of the spec.
    """
    unknown = [name for name in spec.absent if name not in classes]
    problems = []
    if unknown:
        what = f"`absent` names {_listed(unknown)}, which it does not have"
        problems.append(Problem(spec.name, what, loc=("absent",)))
    counted = {split: counts for split, counts in pixels.items() if counts[:-1].any()}
    hint = _ignored_hint(spec, classes, pixels)
    for split in pixels.keys() - counted.keys():
        what = f"no pixel of {_WORDS[split]} counts: all are ignored. {hint}Correct {_keys(spec)}"
        problems.append(Problem(spec.name, what, loc=("classes",)))
    nowhere = without_pixels(spec, classes, pixels)
    missing = {
        split: [
            name
            for name, count in zip(classes, counts[:-1].tolist(), strict=True)
            if not count and name not in spec.absent and name not in nowhere
        ]
        for split, counts in counted.items()
    }
    problems += [
        Problem(
            spec.name,
            f"{_listed(names)} {'has' if len(names) == 1 else 'have'} no pixel in the masks of "
            f"{where}. {hint}If that is meant, say so: `absent: [{', '.join(names)}]`",
            loc=("classes",),
        )
        for where, names in _by_split(missing)
    ]
    for split, counts in counted.items():
        share = ignored_share(counts)
        if share > spec.ignored_share:
            allowed = math.ceil(100 * share) / 100
            what = (
                f"{100 * share:.1f} % of the pixels of {_WORDS[split]} count for nothing, more "
                f"than {100 * spec.ignored_share:g} %. {hint}Correct {_keys(spec)}, or allow it "
                f"with `ignored_share: {allowed:g}`"
            )
            problems.append(Problem(spec.name, what, loc=("ignored_share",)))
    return problems


def without_pixels(
    spec: DatasetSpec, classes: Sequence[str], pixels: Mapping[Split, NDArray[np.int64]]
) -> tuple[str, ...]:
    """Classes of a kind's own list, such as VOC's 21, that no mask has: reported, and no error.

    They are in no mean, and nobody named them; a class that the spec names, or that one half alone
    has, is an error. `absent` silences those that are meant.
    """
    if getattr(spec, "classes", ()) or getattr(spec, "values", None):
        return ()
    total = sum(pixels.values())
    return tuple(
        name
        for name, count in zip(classes, np.asarray(total)[:-1].tolist(), strict=True)
        if not count and name not in spec.absent
    )


def ignored_share(pixels: NDArray[np.int64]) -> float:
    """Ignored pixels as a fraction of all; 0 without pixels."""
    total = int(pixels.sum())
    return float(pixels[-1]) / total if total else 0.0


def coverage_line(split: Split, classes: Sequence[str], pixels: NDArray[np.int64]) -> str:
    """The share of each class among the pixels that count, and the ignored share, in one line."""
    counted = int(pixels[:-1].sum())
    shares = (
        f"{name} {_percent(count, counted)}"
        for name, count in zip(classes, pixels[:-1].tolist(), strict=True)
    )
    ignored = _percent(int(pixels[-1]), int(pixels.sum()))
    return f"{_WORDS[split]}: {', '.join(shares)}; {ignored} ignored"


def _percent(count: int, total: int) -> str:
    if not count:
        return "0 %"
    share = 100 * count / total
    return f"{share:.1f} %" if share >= 0.1 else "below 0.1 %"


def _by_split(missing: Mapping[Split, list[str]]) -> list[tuple[str, list[str]]]:
    """The classes that are missing, in both splits or in one, each with where that is."""
    both = [name for name in missing.get(Split.POOL, []) if name in missing.get(Split.VAL, [])]
    found = [("the pool and of val", both)]
    for split, names in missing.items():
        found.append((_WORDS[split], [name for name in names if name not in both]))
    return [(where, names) for where, names in found if names]


def _listed(names: Sequence[str]) -> str:
    noun = "class" if len(names) == 1 else "classes"
    return f"{noun} {', '.join(f'`{name}`' for name in names)}"


def _keys(spec: DatasetSpec) -> str:
    known = [key for key in ("classes", "values", "ignore", "labels") if key in _fields(spec)]
    return " or ".join(f"`{key}`" for key in known) or "the masks"


def _fields(spec: DatasetSpec) -> Mapping[str, object]:
    return type(spec).model_fields


def _ignored_hint(
    spec: DatasetSpec, classes: Sequence[str], pixels: Mapping[Split, NDArray[np.int64]]
) -> str:
    """What is ignored, by itself or by number, where something is: a class may hide there."""
    taken = [
        f"`{classes[value]}` ({value})"
        for value in getattr(spec, "ignored", ())
        if isinstance(value, int) and value < len(classes) and not getattr(spec, "values", None)
    ]
    if taken:
        return f"`ignore` takes {', '.join(taken)} away. "
    if "values" not in _fields(spec) or getattr(spec, "values", None):
        return ""
    share = max((ignored_share(counts) for counts in pixels.values()), default=0.0)
    if not share or getattr(spec, "colours", None):
        return ""
    return (
        f"The value {IGNORE} counts for nothing by itself, and up to {100 * share:.1f} % of a "
        f"split is ignored: if {IGNORE} is a class, name it, as `values: {{0: background, "
        f"{IGNORE}: lesion}}`. "
    )
