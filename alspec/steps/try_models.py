"""Builds the models of train steps as their trainings would, and tells what is wrong with them.

`python -m alspec.steps.try_models` reads a JSON list of steps on standard input and answers with
a list of problems, each `where` and `what`, and of notes, each `note`: what the files of weights
hold. A process of its own: torch stays out of
the one that asks, and bad files can do no harm there.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from typing import Any

from alspec.errors import InputError
from alspec.plan.step import Step


def findings_of(step: Step) -> Iterator[dict[str, str]]:
    """What stands in the way of a train step's first iteration; notes where nothing does."""
    from alspec.steps.train import config_of, initial_segmentor

    notes: list[str] = []
    try:
        initial_segmentor(step, config_of(step), notes.append)
        yield from ({"note": note} for note in notes)
    except InputError as err:
        for problem in err.problems:
            yield {"where": problem.where, "what": problem.what}


def main() -> None:
    """Answer on standard output, where nothing else may be printed."""
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    asked: list[Any] = json.load(sys.stdin)
    found = [problem for data in asked for problem in findings_of(Step.from_json(data))]
    json.dump(found, answer)
    answer.close()


if __name__ == "__main__":
    main()
