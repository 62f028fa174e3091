"""The commands about datasets: make a miniature, check a tree."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from alspec.cli import console
from alspec.cli.display import closing_display
from alspec.datasets.files.listing import capped
from alspec.datasets.miniature import Drawing
from alspec.datasets.miniature import make as make_miniature
from alspec.datasets.open import open_dataset
from alspec.datasets.statistics import SplitFacts, Survey, survey
from alspec.errors import DataError, InputError, Problem
from alspec.spec.load import load_study, locate_errors
from alspec.spec.validation import plugin_model

if TYPE_CHECKING:
    from alspec.spec.model import DatasetSpec

MOST = 50
"""Problems shown of one dataset; more are counted."""
_SIZES = 3


def make(kind: str, folder: Path, images: int, size: tuple[int, int], seed: int) -> None:
    """Draw a miniature and say how to use it."""
    images_made = make_miniature(kind, folder, Drawing(images, size, seed))
    text = f"{folder}: {images_made} images rendered, {images} to label. Check: "
    text += f"alspec datasets check {kind}"
    console.out.print(f"{text} {shlex.quote(str(folder))}", markup=False)


def check(what: str, root: Path | None, overrides: Sequence[str], *, as_json: bool = False) -> None:
    """Read all datasets of a spec, or one by kind and root, and print what they hold."""
    say = _say_nothing if as_json else _say
    if root is not None:
        found = _check([_of_kind(what, root)], say)
    else:
        study = load_study(Path(what), overrides)
        with locate_errors(study):
            found = _check(study.datasets, say)
    if as_json:
        console.say_json([_as_data(name, survey) for name, survey in found.items()])
    else:
        console.out.print(f"{what}: good", markup=False)


def _check(
    specs: Sequence[DatasetSpec], say: Callable[[str, Survey], None]
) -> Mapping[str, Survey]:
    """What datasets hold. Raises DataError for all that is wrong with any of them."""
    surveys: dict[str, Survey] = {}
    problems: list[Problem] = []
    for index, spec in enumerate(specs):
        with closing_display() as display:
            found = survey(open_dataset(spec), partial(display.reading, spec.name))
        surveys[spec.name] = found
        say(spec.name, found)
        problems += [
            replace(problem, loc=("datasets", index, *problem.loc)) if problem.loc else problem
            for problem in capped(Path(spec.root or spec.name), found.problems, MOST)
        ]
    if problems:
        raise DataError(problems)
    return surveys


def _say_nothing(name: str, found: Survey) -> None:
    pass


def _as_data(name: str, found: Survey) -> dict[str, object]:
    """A dataset's splits as plain data; shares of classes without a pixel are null."""
    return {
        "dataset": name,
        "splits": {
            split.value: {
                "images": facts.images,
                "sequences": facts.sequences,
                "sizes": [[*size, count] for size, count in sorted(facts.sizes.items())],
                "ignored": _number(facts.ignored),
                "classes": {
                    label: _number(float(share))
                    for label, share in zip(found.classes, facts.shares, strict=False)
                },
            }
            for split, facts in found.splits.items()
        },
    }


def _number(share: float) -> float | None:
    return None if math.isnan(share) else share


def _of_kind(kind: str, root: Path) -> DatasetSpec:
    """The spec of a dataset that needs nothing but a root."""
    try:
        model: type[DatasetSpec] = plugin_model("alspec.datasets", kind, "Spec", "kind")  # type: ignore[assignment]
        return model.model_validate({"name": kind, "kind": kind, "root": str(root)})
    except ValidationError as err:
        found = "; ".join(
            f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in err.errors()
        )
        what = f"cannot be checked by its root alone ({found}). Check a spec that names it"
        raise InputError.at(kind, what) from err


def _say(name: str, found: Survey) -> None:
    rows = [
        (split.value, facts.images, facts.sequences, _sizes(facts), _percent(facts.ignored))
        for split, facts in found.splits.items()
    ]
    header = ("split", "images", "sequences", "sizes (height x width)", "ignored pixels")
    console.say_table(name, header, rows)
    if not found.splits:
        return
    shares = {split: facts.shares for split, facts in found.splits.items()}
    classes = [
        (number, label, *(_percent(float(shares[split][number])) for split in shares))
        for number, label in enumerate(found.classes)
    ]
    console.say_table("", ("", "class", *(f"{split.value} pixels" for split in shares)), classes)


def _sizes(facts: SplitFacts) -> str:
    """The sizes that most images have."""
    ranked = sorted(facts.sizes.items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{height}x{width} ({count})" for (height, width), count in ranked[:_SIZES])
    more = len(ranked) - _SIZES
    return shown + (f" and {more} more" if more > 0 else "")


def _percent(share: float) -> str:
    if math.isnan(share):
        return "-"
    return "0 %" if share == 0 else f"{100 * share:.2f} %"
