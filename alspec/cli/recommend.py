"""The command `recommend`: what the guide advises for what is known of a study."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from alspec import api
from alspec.cli import console
from alspec.cli.display import closing_display
from alspec.cli.project import spec_of
from alspec.recommend.advise import Known


def recommend(
    spec: Path | None,
    overrides: Sequence[str],
    known: Known,
    *,
    images: Path | None = None,
    work_dir: Path,
    as_json: bool,
) -> None:
    """Print the guide's advice, for each setting of a spec or for what is known alone."""
    with closing_display() as display:
        loaded = spec_of(spec, overrides) if spec else None
        answers = api.answers(loaded, known, images=images, work_dir=work_dir, progress=display)
    measured = {answer.measured: None for answer in answers if answer.measured}
    if as_json:
        found = {"measured": [pool.to_json() for pool in measured]} if measured else {}
        entries = [entry for answer in answers for entry in answer.advice.entries]
        console.say_json({"advice": [entry.to_json() for entry in entries], **found})
        return
    for answer in answers:
        if answer.title:
            console.out.print(answer.title, markup=False)
        console.say_advice(answer.advice.entries)
