"""The command `status`: how far studies and projects are, who works on what, what failed."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from alspec import api
from alspec.cli import console
from alspec.cli.project import code_of, say_state, states_in
from alspec.errors import AlspecError, ExitCode
from alspec.plan.cost.time import format_duration
from alspec.plan.dag import Plan
from alspec.spec.load import names_project
from alspec.store.study_folder import StudyFolder

if TYPE_CHECKING:
    from alspec.run.at_work import AtWorkData, FailureData

WATCH_SECONDS = 5.0


def status(
    spec: Path | None, overrides: Sequence[str], work_dir: Path, *, as_json: bool, watch: bool
) -> ExitCode:
    """Print how far a study is, or all studies and projects of a work directory.

    One whose spec or data are gone is reported and passed over. In JSON projects follow the
    studies; an entry is of the one or the other by its key `study` or `project`.

    Returns:
        WAITING_FOR_LABELS if one of the projects does.
    """
    plans = (
        [api.plan(api.load_study(spec, overrides), work_dir=work_dir)]
        if spec
        else list(_plans_in(work_dir))
    )
    while True:
        projects = [] if spec else list(states_in(work_dir))
        data = [_progress(plan, work_dir) for plan in plans]
        if as_json:
            console.say_json([*data, *(project.summary.to_json() for project in projects)])
        else:
            for project in projects:
                say_state(project)
            _print_progress(data)
            if not data and not projects:
                console.out.print(f"no study in {work_dir}", markup=False)
        if not watch or all(study["done"] == study["steps"] for study in data):
            return max(map(code_of, projects), default=ExitCode.DONE)
        time.sleep(WATCH_SECONDS)
        if console.out.is_terminal and not as_json:
            console.out.clear()


class _RunProgress(TypedDict):
    """How many cycles of a run are done."""

    run: str
    cycles: int
    done: int


class _StudyProgress(TypedDict):
    """How far a study is, as `status --json` prints it."""

    study: str
    steps: int
    done: int
    runs: list[_RunProgress]
    at_work: list[AtWorkData]
    failed: list[FailureData]


def _print_progress(data: Sequence[_StudyProgress]) -> None:
    for study in data:
        title = f"{study['study']}: {study['done']} of {study['steps']} steps done"
        rows = [
            (r["run"], "●" * r["done"] + "○" * (r["cycles"] - r["done"])) for r in study["runs"]
        ]
        console.say_table(title, ("run", "cycles"), rows)
        _print_at_work(study["at_work"])
        for one in study["failed"]:
            console.say_note(f"{one['step']} failed: {one['message']}")
            if one["log"]:
                console.out.print(f"  its log: less {shlex.quote(one['log'])}", markup=False)


def _print_at_work(steps: Sequence[AtWorkData]) -> None:
    """A table of who works on what, or nothing where nobody does."""
    if not steps:
        return
    rows = [
        (
            one["step"] + (f" ({one['devices']} devices)" if one["devices"] > 1 else ""),
            "?" if one["seconds"] is None else format_duration(one["seconds"]),
            one["host"],
            one["process"],
            one["job"],
        )
        for one in steps
    ]
    console.say_table("at work", ("step", "for", "host", "process", "job"), rows)


def _plans_in(work_dir: Path) -> Iterator[Plan]:
    """The plans of the studies; labelling projects are read by `states_in`."""
    for path in sorted(work_dir.glob("*/spec.yaml")):
        if names_project(path):
            continue
        try:
            yield api.plan(api.load_study(path), work_dir=work_dir)
        except AlspecError as err:
            console.say_error(err)


def _progress(plan: Plan, work_dir: Path) -> _StudyProgress:
    from alspec.results.table import finished_sets
    from alspec.run.at_work import failures, steps_at_work

    folder = StudyFolder(work_dir, plan.study.study)
    store = folder.store
    return {
        "study": plan.study.study,
        "steps": len(plan.steps),
        "done": len(store.done(plan.steps)),
        "runs": [
            {"run": r.name, "cycles": len(r.sets), "done": len(list(finished_sets(r, store)))}
            for r in plan.runs
        ],
        "at_work": [one.as_data() for one in steps_at_work(plan, folder)],
        "failed": [one.as_data() for one in failures(plan, folder)],
    }
