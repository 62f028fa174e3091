"""Has every model that starts from weights in files built once, before the first step."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from alspec.errors import InputError, Problem
from alspec.plan.kinds import TRAIN
from alspec.plan.kinds.train import TrainParams
from alspec.plan.step import Step
from alspec.store.store import Store
from alspec.system.interpreter import python_command, python_environment

WEIGHTS = frozenset({"pretrained", "checkpoint"})

_LOC: Mapping[str, tuple[str, ...]] = {
    "pretrained": ("pretrained",),
    "checkpoint": ("model", "checkpoint"),
    "config": ("model", "config"),
}
"""Where each of a model's files stands in the spec."""


def check_models(
    steps: Iterable[Step],
    store: Store | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> int:
    """Build what the trainings among some steps start from, weights from files included.

    Unsafe, unreadable or oversized weights and weights of another model are found by the very code
    that trains, in a process of its own.

    Args:
        steps: any; only trainings that start from weights in files are looked at.
        store: remembers by their bytes which files were good; None looks at them again.
        note: is given a sentence on each file of weights: its layout, and how much of it matched.

    Returns:
        How many different models were built.

    Raises:
        InputError: every problem found, with its place in the spec.
    """
    trainings = {_identity(step): step for step in steps if _reads_weights(step)}
    known = {identity for identity in trainings if store and store.is_checked(identity)}
    new = {identity: step for identity, step in trainings.items() if identity not in known}
    problems, notes = _tried(list(new.values())) if new else ([], [])
    if problems:
        raise InputError(problems)
    if store:
        for identity, step in new.items():
            store.note_checked(
                identity, {"model": TrainParams.of(step.params).model, "notes": notes}
            )
        for identity in sorted(known):
            notes += store.read_checked(identity).get("notes", [])
    for sentence in dict.fromkeys(notes):
        note(sentence)
    return len(new)


def _reads_weights(step: Step) -> bool:
    return step.kind is TRAIN and not WEIGHTS.isdisjoint(step.local_paths["model"])


def _identity(step: Step) -> str:
    params = TrainParams.of(step.params)
    kept = {"model": params.model, "classes": params.classes, "mc_dropout": params.mc_dropout}
    return f"model-{hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()}"


def _tried(steps: Sequence[Step]) -> tuple[list[Problem], list[str]]:
    """What a process that loads torch says of these steps' models: problems, and notes on files."""
    command = python_command("alspec.steps.try_models")
    asked = json.dumps([step.to_json() for step in steps])
    ended = subprocess.run(  # noqa: S603 - our own interpreter and module
        command,
        input=asked,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        env=python_environment(),
        check=False,
    )
    local_paths: dict[str, str] = dict(steps[0].local_paths["model"])
    if ended.returncode:
        first = _first_file(local_paths)
        return [Problem(first, _broken(ended), loc=_loc_of(first, local_paths))], []
    found: list[dict[str, Any]] = json.loads(ended.stdout)
    notes = [told["note"] for told in found if "note" in told]
    once = {(told["where"], told["what"]): None for told in found if "where" in told}
    return [Problem(where, what, loc=_loc_of(where, local_paths)) for where, what in once], notes


def _first_file(local_paths: Mapping[str, str]) -> str:
    return next(local_paths[name] for name in _LOC if name in local_paths)


def _loc_of(where: str, local_paths: Mapping[str, str]) -> tuple[str, ...]:
    """The place in the spec that names a file; the model's for anything else."""
    return next((loc for name, loc in _LOC.items() if local_paths.get(name) == where), ("model",))


def _broken(ended: subprocess.CompletedProcess[str]) -> str:
    """Why the process that tried the models gave no answer."""
    if ended.returncode < 0:
        name = signal.Signals(-ended.returncode).name
        hint = ": it may need more memory than is free" if name == "SIGKILL" else ""
        return f"the process that read it was ended by {name}{hint}"
    last = ended.stderr.strip().splitlines()[-1:]
    return f"could not be tried ({' '.join(last)})"
