"""Has every model tried once before the first step: a step of training, a measurement, scorings."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from alspec import __version__
from alspec.errors import InputError, Problem
from alspec.plan.kinds import ACQUIRE, TRAIN
from alspec.plan.kinds.acquire import AcquireParams
from alspec.plan.step import Step
from alspec.store.store import Store
from alspec.system.array_cache import user_cache_folder
from alspec.system.atomic import write_json
from alspec.system.interpreter import python_command, python_environment

if TYPE_CHECKING:
    from alspec.steps.try_models import ModelTrial, ScoringData

_LOC: Mapping[str, tuple[str, ...]] = {
    "pretrained": ("pretrained",),
    "checkpoint": ("model", "checkpoint"),
    "config": ("model", "config"),
}
"""Where the spec names each of a model's files."""

_DECIDING = ("model", "classes", "mc_dropout", "training", "s4gan", "devices")


@dataclass
class _Asked:
    """A model to try: a training that is planned, and the methods that read its weights."""

    step: Step
    scorings: dict[str, ScoringData] = field(default_factory=dict)

    @property
    def identity(self) -> str:
        """What its trial depends on."""
        params = self.step.params
        decided = {name: params[name] for name in _DECIDING if name in params}
        size = self.step.local_paths["dataset"].get("image_size")
        whole = [__version__, decided, size, self.scorings]
        text = json.dumps(whole, sort_keys=True)
        return f"model-{hashlib.sha256(text.encode()).hexdigest()}"

    def to_json(self) -> ModelTrial:
        """As `try_models` reads it."""
        return {"step": self.step.to_json(), "scorings": list(self.scorings.values())}


class _Remembered:
    """Which trials went well, and what was noted: in a store, or in the user's cache."""

    def __init__(self, store: Store | None) -> None:
        self._store = store
        user = user_cache_folder()
        self._folder: Path | None = user / "models" if user and not store else None

    def notes(self, identity: str) -> list[str] | None:
        """Of a trial that went well; None for one that was not made."""
        if self._store:
            known = self._store.is_checked(identity)
            notes = self._store.read_checked(identity).get("notes") if known else None
            return list(map(str, notes)) if isinstance(notes, list) else [] if known else None
        if self._folder is None:
            return None
        try:
            kept = json.loads((self._folder / f"{identity}.json").read_text("utf-8"))
            return [str(note) for note in kept["notes"]]
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def note(self, asked: _Asked, notes: Sequence[str]) -> None:
        """Remember a trial that went well."""
        facts = {"model": asked.step.params["model"], "notes": list(notes)}
        if self._store:
            self._store.note_checked(asked.identity, facts)
        elif self._folder is not None:
            with suppress(OSError):
                self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                write_json(self._folder / f"{asked.identity}.json", facts)


def check_models(
    steps: Iterable[Step],
    store: Store | None = None,
    note: Callable[[str], None] = lambda _: None,
    *,
    built_in: bool = False,
) -> int:
    """Try what the trainings among some steps train: one step, one measurement, every scoring.

    Unsafe, unreadable or oversized weights, weights of another model, and heads that cannot do what
    is planned are found by the very code that trains, measures and scores, in a process of its own.

    Args:
        steps: any; their trainings are looked at, and the acquisitions that read them.
        store: remembers which trials went well; None asks the user's cache.
        note: is given a sentence on each file of weights, on what of a config is followed, and on
            the time that the trial took.
        built_in: try built-in models without files too.

    Returns:
        How many different models were tried.

    Raises:
        InputError: every problem found, with its place in the spec.
    """
    asked = {one.identity: one for one in _asked(steps, built_in=built_in)}
    remembered = _Remembered(store)
    notes: list[str] = []
    new: list[_Asked] = []
    for identity, one in asked.items():
        known = remembered.notes(identity)
        notes += known or []
        new += [one] if known is None else []
    problems: list[Problem] = []
    for one, (found, sentences) in zip(new, _tried(new) if new else [], strict=True):
        problems += found
        notes += sentences
        if not found:
            remembered.note(one, sentences)
    if problems:
        raise InputError(list(dict.fromkeys(problems)))
    for sentence in dict.fromkeys(notes):
        note(sentence)
    return len(new)


def _asked(steps: Iterable[Step], *, built_in: bool) -> list[_Asked]:
    """One of each kind of training, with all scorings of all trainings of that kind."""
    steps = list(steps)
    kinds: dict[str, _Asked] = {}
    of_training: dict[str, _Asked] = {}
    for step in steps:
        if step.kind is TRAIN and (built_in or step.local_paths["model"]):
            of_training[step.key] = kinds.setdefault(_Asked(step).identity, _Asked(step))
    for step in steps:
        train = of_training.get(step.inputs.get("train", ""))
        if step.kind is ACQUIRE and train is not None:
            params = AcquireParams.of(step.params)
            scoring: ScoringData = {"method": params.method, "params": params.method_params}
            train.scorings[json.dumps(scoring, sort_keys=True)] = scoring
    return list(kinds.values())


def _tried(asked: Sequence[_Asked]) -> list[tuple[list[Problem], list[str]]]:
    """What a process that loads torch says of each model: problems, and notes."""
    ended = subprocess.run(  # noqa: S603 - our own interpreter and module
        python_command("alspec.steps.try_models"),
        input=json.dumps([one.to_json() for one in asked]),
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        env=python_environment(),
        check=False,
    )
    paths: dict[str, str] = dict(asked[0].step.local_paths["model"])
    if ended.returncode:
        first = next((paths[name] for name in _LOC if name in paths), "model")
        broken = Problem(first, _broken(ended), loc=_loc_of(first, paths))
        return [([broken], []) for _ in asked]
    answers: list[list[dict[str, str]]] = json.loads(ended.stdout)
    return [_sorted(found, paths) for found in answers]


def _sorted(
    found: Sequence[Mapping[str, str]], paths: Mapping[str, str]
) -> tuple[list[Problem], list[str]]:
    wrong = [(line["where"], line["what"]) for line in found if "where" in line]
    problems = [Problem(where, what, loc=_loc_of(where, paths)) for where, what in wrong]
    return problems, [line["note"] for line in found if "note" in line]


def _loc_of(where: str, local_paths: Mapping[str, str]) -> tuple[str, ...]:
    """The place in the spec that names a file; the model's for anything else."""
    if where.startswith("training."):
        return tuple(where.split("."))
    return next((loc for name, loc in _LOC.items() if local_paths.get(name) == where), ("model",))


def _broken(ended: subprocess.CompletedProcess[str]) -> str:
    """Why the process that tried the models gave no answer."""
    if ended.returncode < 0:
        name = signal.Signals(-ended.returncode).name
        hint = ": it may need more memory than is free" if name == "SIGKILL" else ""
        return f"the process that tried it was ended by {name}{hint}"
    last = ended.stderr.strip().splitlines()[-1:]
    return f"could not be tried ({' '.join(last)})"
