"""Refuses labels that are reserved, and names that would share a file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from alspec.errors import InputError, Problem
from alspec.plan.dag import Run, Setting
from alspec.plan.kinds.acquire import GIVEN, INITIAL
from alspec.spec.model import Method

FULL = "full"
"""What tables call training on the whole pool; no method can be labelled so."""

RANDOM = "random"
"""The baseline that other methods are measured against; no other method can be labelled so."""

LONGEST = 255
"""Bytes of a name on the disks of Linux, macOS and Windows; names are ASCII."""


def check_labels(methods: Sequence[Method]) -> None:
    """Raises InputError for each method that takes a name of alspec's own."""
    problems = []
    for index, method in enumerate(methods):
        if method.name in (INITIAL, GIVEN):
            what = f"`{method.name}` makes a first labelled set; a plugin needs another name"
            problems.append(Problem("methods", what, loc=("methods", index, "name")))
        label = method.label.casefold()
        if label == FULL or (label == RANDOM and method.name != RANDOM):
            what = f"the label `{label}` is reserved for the baseline of that name; use another"
            problems.append(Problem("methods", what, loc=("methods", index, "label")))
    if problems:
        raise InputError(problems)


def check_names(settings: Iterable[Setting], runs: Sequence[Run]) -> None:
    """Raises InputError where two would write the same file on some disk, or a name is too long."""
    named = [(f"{s.dataset}_{s.budget}", (s.dataset, s.budget)) for s in settings]
    problems = list(_clashes(named, ("datasets",)))
    if not problems:
        runs_named = [(run.name, (run.dataset, run.budget, run.method)) for run in runs]
        problems = list(_clashes(runs_named, ("methods",))) or list(_too_long(runs))
    if problems:
        raise InputError(problems)


def _too_long(runs: Sequence[Run]) -> Iterable[Problem]:
    """The longest name of a run's folder, if disks do not take it."""
    name = max((run.name for run in runs), key=len, default="")
    if len(name) > LONGEST:
        what = (
            f"the folder of a run would have a name of {len(name)} characters, and disks take "
            f"{LONGEST}: {name}. Shorten the name of the dataset, of the budget or of the method"
        )
        yield Problem("methods", what, loc=("methods",))


def _clashes(
    named: Iterable[tuple[str, tuple[str, ...]]], loc: tuple[str, ...]
) -> Iterable[Problem]:
    first: dict[str, tuple[str, ...]] = {}
    reported: set[tuple[str, ...]] = set()
    for name, parts in named:
        other = first.setdefault(name.casefold(), parts)
        if other is not parts and (other + parts) not in reported:
            reported.add(other + parts)
            what = f"`{' '.join(other)}` and `{' '.join(parts)}` would both be named `{name}`"
            yield Problem(loc[0], f"{what} in the study's folder. Rename one of them", loc=loc)
