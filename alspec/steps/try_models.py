"""Tries the models of train steps as their trainings would, and reports what is wrong with them.

`python -m alspec.steps.try_models` reads a JSON list on standard input, each item a train `step`
and the `scorings` that read its model (`method`, `params`), and answers with a list for each item:
of problems, each `where` and `what`, and of notes, each `note`. A process of its own: torch stays
out of the one that asks, and bad files can do no harm there.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TypedDict

from alspec.errors import AlspecError, InputError
from alspec.plan.step import Step
from alspec.store.manifest import StepRecord


class ScoringData(TypedDict):
    """A method that reads a model, as plain data."""

    method: str
    params: Mapping[str, object]


class ModelTrial(TypedDict):
    """A model to try: a training that is planned, and the methods that read its weights."""

    step: StepRecord
    scorings: Sequence[ScoringData]


def findings_of(asked: ModelTrial) -> Iterator[dict[str, str]]:
    """Problems of a training and of what follows it; notes where there are none."""
    from alspec.steps.trial import Scoring, try_model

    step = Step.from_json(asked["step"])
    scorings = [Scoring(given["method"], given["params"]) for given in asked["scorings"]]
    try:
        for note in try_model(step, scorings).notes:
            yield {"note": note}
    except InputError as err:
        for problem in err.problems:
            yield {"where": problem.where, "what": problem.what}
    except AlspecError as err:
        yield {"where": "model", "what": str(err)}


def main() -> None:
    """Answer on standard output, where nothing else may be printed."""
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    asked: list[ModelTrial] = json.load(sys.stdin)
    found = [list(findings_of(data)) for data in asked]
    json.dump(found, answer)
    answer.close()


if __name__ == "__main__":
    main()
