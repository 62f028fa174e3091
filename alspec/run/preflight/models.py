"""Has every model tried once before the first step: a step of training, a measurement, scorings."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
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
            saved = json.loads((self._folder / f"{identity}.json").read_text("utf-8"))
            return [str(note) for note in saved["notes"]]
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


class ModelTrials:
    """Trials of what some trainings train: one step, one measurement, every scoring of each.

    Unsafe, unreadable or oversized weights, weights of another model, and heads that cannot do what
    is planned are found by the very code that trains, measures and scores, in a process of its own.
    It runs beside other work from the beginning of a `with` block; at the block's end it is ended.

    Args:
        steps: any; their trainings are looked at, and the acquisitions that read them.
        store: remembers which trials went well; None asks the user's cache.
        note: is given a sentence on each file of weights, on what of a config is followed, and on
            the time that the trial took.
        built_in: try built-in models without files too.
    """

    def __init__(
        self,
        steps: Iterable[Step],
        store: Store | None = None,
        note: Callable[[str], None] = lambda _: None,
        *,
        built_in: bool = False,
    ) -> None:
        asked = {one.identity: one for one in _asked(steps, built_in=built_in)}
        self._remembered = _Remembered(store)
        self._note = note
        self._notes: list[str] = []
        self._new: list[_Asked] = []
        for identity, one in asked.items():
            known = self._remembered.notes(identity)
            self._notes += known or []
            self._new += [one] if known is None else []
        self._trial: _Trial | None = None
        self._ended = False

    def __enter__(self) -> ModelTrials:
        self._trial = _Trial(self._new) if self._new else None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, at: TracebackType | None
    ) -> None:
        if self._trial:
            self._trial.close()

    @property
    def are_over(self) -> bool:
        """Whether `end` need not wait."""
        return self._trial is None or self._trial.is_over

    def end(self) -> int:
        """Wait for the trials and note what they say; once, however often it is called.

        Returns:
            How many different models were tried.

        Raises:
            InputError: every problem found, with its place in the spec.
        """
        if self._ended:
            return len(self._new)
        problems: list[Problem] = []
        answers = self._trial.answers() if self._trial else []
        for one, (found, sentences) in zip(self._new, answers, strict=True):
            problems += found
            self._notes += sentences
            if not found:
                self._remembered.note(one, sentences)
        if problems:
            raise InputError(list(dict.fromkeys(problems)))
        self._ended = True
        for sentence in dict.fromkeys(self._notes):
            self._note(sentence)
        return len(self._new)


def check_models(
    steps: Iterable[Step],
    store: Store | None = None,
    note: Callable[[str], None] = lambda _: None,
    *,
    built_in: bool = False,
) -> int:
    """`ModelTrials` with nothing beside them: arguments, result and errors are theirs."""
    with ModelTrials(steps, store, note, built_in=built_in) as trials:
        return trials.end()


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


class _Trial:
    """A process that loads torch and tries models."""

    def __init__(self, asked: Sequence[_Asked]) -> None:
        self._asked = asked
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            python_command("alspec.steps.try_models"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            env=python_environment(),
        )
        # What it prints is read as it comes, or a full pipe would stop it.
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="models")
        steps = json.dumps([one.to_json() for one in asked])
        self._output = self._reader.submit(self._process.communicate, steps)

    @property
    def is_over(self) -> bool:
        """Whether it answered, or ended without an answer."""
        return self._output.done()

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._reader.shutdown()

    def answers(self) -> list[tuple[list[Problem], list[str]]]:
        """What it says of each model: problems, and notes."""
        answer, errors = self._output.result()
        paths: dict[str, str] = dict(self._asked[0].step.local_paths["model"])
        if code := self._process.returncode:
            first = next((paths[name] for name in _LOC if name in paths), "model")
            broken = Problem(first, _broken(code, errors), loc=_loc_of(first, paths))
            return [([broken], []) for _ in self._asked]
        found: list[list[dict[str, str]]] = json.loads(answer)
        return [_sorted(each, paths) for each in found]


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


def _broken(code: int, errors: str) -> str:
    """Why the process that tried the models gave no answer."""
    if code < 0:
        name = signal.Signals(-code).name
        hint = ": it may need more memory than is free" if name == "SIGKILL" else ""
        return f"the process that tried it was ended by {name}{hint}"
    last = errors.strip().splitlines()[-1:]
    return f"could not be tried ({' '.join(last)})"
