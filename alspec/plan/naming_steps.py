"""Steps by what people call them: words of their name, a pattern, or a key's first digits."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase

from alspec.errors import InputError
from alspec.plan.dag import Plan
from alspec.plan.step import Step, StepKey

_KEY = re.compile(r"[0-9a-f]{6,64}")
_NUMBERED = re.compile(r"\b(seed|cycle)\s+(\d+)\b")


def steps_named(plan: Plan, names: Sequence[str]) -> list[Step]:
    """The steps that any of some names means, in plan order.

    Args:
        plan: a study, expanded.
        names: each the words of a step's name in any order (`entropy cycle 1 train`), a pattern
            with `*` for the whole name, or the first digits of a key, six at least.

    Raises:
        InputError: a name that means no step.
    """
    for name in names:
        if not any(_means(name, step) for step in plan.in_order()):
            raise InputError.at(
                name, f"no step of {plan.study.study} is named so.{_near(name, plan)}"
            )
    return [step for step in plan.in_order() if any(_means(name, step) for name in names)]


def with_ancestors(plan: Plan, steps: Sequence[Step]) -> set[StepKey]:
    """The keys of some steps and of all that they are made from."""
    found: set[StepKey] = set()
    waiting = [step.key for step in steps]
    while waiting:
        key = waiting.pop()
        if key not in found:
            found.add(key)
            waiting += plan.steps[key].inputs.values()
    return found


def _means(name: str, step: Step) -> bool:
    if _KEY.fullmatch(name):
        return step.key.startswith(name)
    if "*" in name:
        return fnmatchcase(step.label, name)
    return _words(name) <= {*_words(step.label), step.kind.name}


def _words(name: str) -> set[str]:
    """The words of a name; a seed or cycle with its number is one: `seed 0 cycle 2` is no other."""
    return set(_NUMBERED.sub(r"\1\2", name).split())


def _near(name: str, plan: Plan) -> str:
    known = {word for step in plan.in_order() for word in step.label.split()}
    unknown = [word for word in name.split() if word not in known]
    near = [match for word in unknown for match in difflib.get_close_matches(word, known, n=1)]
    if near:
        return f" Did you mean `{near[0]}` by `{unknown[0]}`?"
    first = next(iter(plan.steps.values())).label if plan.steps else ""
    return f" A step is named as `{first}`"
