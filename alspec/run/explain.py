"""Why a step is done or will run: what changed since the step of the same name was done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import Enum

from alspec.plan.dag import Plan
from alspec.plan.step import Step, StepKey
from alspec.run.loop import needed
from alspec.store.manifest import Recipe, StepRecord
from alspec.store.store import Store

ABSENT = "nothing"


class State(str, Enum):
    """State of a step, and why it will run."""

    DONE = "done"
    NEW = "never run"
    CHANGED = "changed"
    UPSTREAM = "an earlier step changed"
    DROPPED = "its weights were dropped and are needed again"


@dataclass(frozen=True, slots=True)
class Change:
    """A field of a recipe that is another than before.

    Attributes:
        step: the name of the step whose recipe it is: the explained one, or one before it.
        field: dotted, as `training.epochs`.
        old: its value in the store.
        new: its value in the study.
    """

    step: str
    field: str
    old: object
    new: object


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a step is done or not.

    Attributes:
        step: its name.
        key: its key.
        state: whether it will run, and why.
        changes: what changed; the first causes, also where they lie in an earlier step.
        was: the key of the step that it is compared with.
    """

    step: str
    key: str
    state: State
    changes: tuple[Change, ...] = ()
    was: str | None = None

    def to_json(self) -> dict[str, object]:
        """As plain data."""
        return {**asdict(self), "state": self.state.value}


@dataclass
class Explainer:
    """Explains the steps of a plan; reads every manifest of the store once."""

    plan: Plan
    store: Store

    def __post_init__(self) -> None:
        self._needed = needed(self.plan, self.store)
        self._done = self.store.done(self.plan.steps)
        self._before: dict[tuple[str, str], list[StepRecord]] = {}
        if self._needed:
            for step in self.store.committed():
                name = (step["recipe"]["kind"], step["label"])
                self._before.setdefault(name, []).append(step)
        self._known: dict[StepKey, Explanation] = {}

    def explain(self, step: Step) -> Explanation:
        """Why a step of the plan is done or will run."""
        if step.key not in self._known:
            self._known[step.key] = self._explain(step)
        return self._known[step.key]

    def _explain(self, step: Step) -> Explanation:
        if step.key not in self._needed:
            return Explanation(step.label, step.key, State.DONE)
        if step.key in self._done:
            return Explanation(step.label, step.key, State.DROPPED)
        before = self._closest(step)
        if before is None:
            return Explanation(step.label, step.key, State.NEW)
        own = tuple(_changes(step, before["recipe"]))
        upstream = {
            change: None
            for role, source in step.inputs.items()
            if before["recipe"]["inputs"].get(role) != source
            for change in self.explain(self.plan.steps[source]).changes
        }
        state = State.CHANGED if own else State.UPSTREAM
        return Explanation(step.label, step.key, state, own or tuple(upstream), before["key"])

    def _closest(self, step: Step) -> StepRecord | None:
        """The committed step of the same name that differs least, the last committed of equals."""
        same = self._before.get((step.kind.name, step.label), [])
        return min(same, key=lambda one: len(list(_changes(step, one["recipe"]))), default=None)


def _changes(step: Step, recipe: Recipe) -> Iterator[Change]:
    """The fields in which a step's recipe differs from another, inputs apart."""
    new, old = dict(_fields(step.recipe["params"])), dict(_fields(recipe["params"]))
    new[CODE], old[CODE] = step.recipe["version"], recipe["version"]
    for name in sorted(new.keys() | old.keys()):
        before, after = old.get(name, ABSENT), new.get(name, ABSENT)
        if before != after:
            yield Change(step.label, name, before, after)


CODE = "version of alspec's code for it"


def _fields(value: object, name: str = "") -> Iterator[tuple[str, object]]:
    """The leaves of nested mappings by dotted name; lists are leaves."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _fields(inner, f"{name}.{key}" if name else str(key))
    else:
        yield name, _plain(value)


def _plain(value: object) -> object:
    """Tuples are lists in JSON."""
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def in_words(change: Change) -> str:
    """A change in a line; long values are cut, fingerprints are named."""
    if change.field.endswith(("fingerprint", "sha256")) or change.field == "pool":
        return f"{change.field}: the files or the list of images changed"
    return f"{change.field}: {_short(change.old)} -> {_short(change.new)}"


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def reasons(explanations: Sequence[Explanation]) -> list[tuple[str, int, str]]:
    """Steps that will run by their reason: state, how many, the changes in words."""
    counted: dict[tuple[str, str], int] = {}
    for one in explanations:
        why = "; ".join(dict.fromkeys(in_words(change) for change in one.changes))
        state = State.CHANGED if one.state is State.UPSTREAM else one.state
        counted[(state.value, why)] = counted.get((state.value, why), 0) + 1
    return [(state, count, why) for (state, why), count in counted.items()]
