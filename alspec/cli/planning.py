"""A spec file to a plan, with every problem at its place in the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from alspec.errors import InputError, Problem
from alspec.plan.config_file import require_trust
from alspec.plan.dag import Plan
from alspec.plan.expand import expand
from alspec.spec.load import load_study, located


def planned(spec: Path, overrides: Sequence[str]) -> Plan:
    """The plan of a spec file. Raises InputError, each problem with line and column."""
    study = load_study(spec, overrides)
    with locate_errors_in_spec(spec, overrides):
        return expand(study)


def planned_to_run(spec: Path, overrides: Sequence[str], *, trust_config: bool) -> Plan:
    """The plan of a spec file whose steps may be run.

    Raises:
        InputError: as `planned`, or the study's config file is code that nobody trusts.
    """
    study = load_study(spec, overrides)
    with locate_errors_in_spec(spec, overrides):
        plan = expand(study, trust_config=trust_config)
        require_trust(plan.study, trusted=trust_config)
    return plan


@contextmanager
def locate_errors_in_spec(spec: Path, overrides: Sequence[str]) -> Iterator[None]:
    """Give problems that know their place in the spec their file, line and column."""
    try:
        yield
    except InputError as err:
        problems = [_with_its_file(problem) for problem in err.problems]
        raise type(err)(located(spec, problems, overrides)) from err


def _with_its_file(problem: Problem) -> Problem:
    """Name the file that a problem is about also where the spec's place will stand before it."""
    about_file = problem.loc and Path(problem.where).is_absolute()
    if not about_file or problem.where in problem.what:
        return problem
    return replace(problem, what=f"{problem.where}: {problem.what}")
