"""The command `recommend`: what the guide advises for what is known of a study."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from alspec import api
from alspec.cli import console
from alspec.cli.display import closing_display
from alspec.errors import InputError
from alspec.recommend.advise import Answer, Known, advice_for, advice_for_images


def recommend(
    spec: Path | None,
    overrides: Sequence[str],
    known: Known,
    *,
    images: Path | None = None,
    as_json: bool,
) -> None:
    """Print the guide's advice, for each setting of a spec or for what is known alone."""
    answers = _answers(spec, overrides, known, images)
    measured = {answer.measured: None for answer in answers if answer.measured}
    if as_json:
        found = {"measured": [pool.to_json() for pool in measured]} if measured else {}
        entries = [entry for answer in answers for entry in answer.advice.entries]
        console.say_json({"advice": [entry.to_json() for entry in entries], **found})
        return
    for answer in answers:
        if answer.title:
            console.out.print(answer.title, markup=False)
        for entry in answer.advice.entries:
            console.say_advice(entry)


def _answers(
    spec: Path | None, overrides: Sequence[str], known: Known, images: Path | None
) -> list[Answer]:
    if images is not None and spec is not None:
        raise InputError.at("--images", "stands alone; leave out either the spec or --images")
    with closing_display() as display:
        if images is not None:
            return [advice_for_images(images, known, display.reading)]
        plan = api.plan(api.load_study(spec, overrides)) if spec else None
        return list(advice_for(plan, known, display.reading))
