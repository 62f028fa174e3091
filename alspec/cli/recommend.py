"""The command `recommend`: what the guide advises for what is known of a study."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from alspec import api
from alspec.cli import console
from alspec.recommend.advise import Known, advice_for


def recommend(spec: Path | None, overrides: Sequence[str], known: Known, *, as_json: bool) -> None:
    """Print the guide's advice, for each setting of a spec or for what is known alone."""
    plan = api.plan(api.load(spec, overrides)) if spec else None
    advices = list(advice_for(plan, known))
    if as_json:
        console.say_json({"advice": [e.to_json() for _, advice in advices for e in advice.entries]})
        return
    for title, advice in advices:
        if title:
            console.out.print(title, markup=False)
        for entry in advice.entries:
            console.say_advice(entry)
