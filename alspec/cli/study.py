"""The commands about a study: check, plan, run, status, report."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from alspec.cli import console
from alspec.cli.planning import locate_errors_in_spec, planned, planned_to_run
from alspec.errors import AlspecError, ExitCode, InputError, SpecError, StoreError
from alspec.plan.dag import Plan
from alspec.spec.load import dump_study
from alspec.store.permissions import check_owners
from alspec.store.study_folder import StudyFolder
from alspec.system.atomic import write_text

if TYPE_CHECKING:
    from alspec.plan.step import Step, StepKey
    from alspec.run.loop import RunSummary


def check(spec: Path, overrides: Sequence[str], *, trust_config: bool) -> None:
    """Validate, list and read everything; print what was found."""
    from alspec.run.preflight.data import check_data
    from alspec.run.preflight.models import check_models

    plan = planned_to_run(spec, overrides, trust_config=trust_config)
    found: list[str] = []
    with locate_errors_in_spec(spec, overrides), console.Reading() as progress:
        check_models(plan.steps.values(), note=console.say_note)
        images = check_data(plan.study.datasets, progress, note=found.append)
    for line in found:
        console.out.print(line, markup=False)
    for setting in plan.settings:
        counts = ", ".join(map(str, setting.labelled_images))
        console.out.print(
            f"{setting.dataset}: pool of {setting.pool_images} ({setting.pool}), "
            f"{setting.budget} labels {counts}",
            markup=False,
        )
    read = f"{sum(images.values())} images read" if any(images.values()) else "nothing new to read"
    console.out.print(f"{spec}: good; {read}", markup=False)


def plan(
    spec: Path,
    overrides: Sequence[str],
    work_dir: Path,
    devices: str | None,
    *,
    as_json: bool,
    graph: bool,
    calibrate: bool,
    trust_config: bool,
) -> None:
    """Print the plan as a table, as JSON or as a graph."""
    from alspec.plan.graph import mermaid
    from alspec.plan.summary import as_data, step_rows
    from alspec.run import timing
    from alspec.run.devices import parse_devices
    from alspec.run.loop import needed
    from alspec.run.preflight.disk import disk_space_for, in_words

    slots = parse_devices(devices)
    if calibrate:
        expanded = planned_to_run(spec, overrides, trust_config=trust_config)
    else:
        expanded = planned(spec, overrides)
    folder = StudyFolder(work_dir, expanded.study.study)
    store = folder.store
    done = store.done(expanded.steps)
    if graph:
        console.out.print(mermaid(expanded, done), markup=False, end="")
        return
    if calibrate:
        with _writable(folder), locate_errors_in_spec(spec, overrides):
            console.say_note(f"a sample of {expanded.study.study} is timed on {slots[0]}")
            timing.calibrate(expanded, store, slots, trust_config=trust_config)
    estimate = timing.estimate(expanded, store, needed(expanded, store), slots)
    data = as_data(expanded, done, estimate.seconds)
    if as_json:
        console.say_json(data)
        return
    header = ("dataset", "pool", "budget", "images", "labelled at each cycle")
    rows = [
        (s.dataset, s.pool, s.budget, s.pool_images, " ".join(map(str, s.labelled_images)))
        for s in expanded.settings
    ]
    console.say_table(f"{expanded.study.study}: labelled images", header, rows)
    console.say_table("", ("step", "distinct", "done", "to run"), step_rows(expanded, done))
    console.out.print(
        f"{data['runs']} runs, {data['trainings']} trainings; one a run and cycle would be "
        f"{data['trainings_unshared']}. {in_words(data['disk_bytes'])} on disk when finished."
    )
    console.out.print(estimate.words, markup=False)
    if todo := expanded.steps.keys() - done:
        room = disk_space_for(expanded, todo, store, len(slots))
        console.out.print(f"On {len(slots)} workers what is left {room}.", markup=False)


def run(
    spec: Path,
    overrides: Sequence[str],
    devices: str | None,
    work_dir: Path,
    *,
    loader_workers: int = 0,
    trust_config: bool = False,
    wait: bool = True,
) -> ExitCode:
    """Run a study and publish it; LOCKED if all that is left was left to other runs."""
    from alspec.report.publish import publish_what_changed
    from alspec.run.devices import parse_devices
    from alspec.run.events import EventLog
    from alspec.run.executors.local import LocalExecutor
    from alspec.run.loop import run as run_plan
    from alspec.run.preflight.data import check_data
    from alspec.run.preflight.disk import disk_space_for, require_disk_space
    from alspec.run.preflight.models import check_models
    from alspec.run.repair import run_to_publication
    from alspec.run.timing import costs_of, save_throughput

    slots = parse_devices(devices)
    expanded = planned_to_run(spec, overrides, trust_config=trust_config)
    folder = StudyFolder(work_dir, expanded.study.study)
    console.say_notes(check_owners(folder.store.root))

    def run_steps(todo: Mapping[StepKey, Step]) -> RunSummary:
        notes: list[str] = []
        if todo:
            room = disk_space_for(expanded, todo, folder.store, min(len(slots), len(todo)))
            if warning := require_disk_space(room):
                console.say_note(warning)
            with locate_errors_in_spec(spec, overrides):
                check_models(todo.values(), folder.store, notes.append)
            console.say_notes(notes)
        executor = LocalExecutor(
            folder.store.root.absolute(), slots[: len(todo)], folder.logs, loader_workers
        )
        try:
            with (
                locate_errors_in_spec(spec, overrides),
                console.Reading() as progress,
                _made(folder),
            ):
                executor.warm_up()
                found: list[str] = []
                if todo:
                    check_data(expanded.study.datasets, progress, folder.store, found.append)
            console.say_notes(found)
            write_text(folder.spec, dump_study(expanded.study))
            for note in notes:
                folder.log_event({"time": round(time.time(), 3), "event": "note", "message": note})
            costs = costs_of(expanded, folder.store, todo, slots[0]) if todo else {}
            cost = {key: costs[key] for key in todo}
            with console.RunDisplay(len(todo), cost, waits=wait) as display:
                log = EventLog(folder, display)
                return run_plan(expanded, folder.store, executor, log, wait=wait)
        finally:
            executor.close()
            with suppress(OSError):  # a disk that is full has been told of
                save_throughput(expanded, folder.store, todo, slots[0])

    with _writable(folder):
        summary, written = run_to_publication(
            expanded,
            folder.store,
            run_steps,
            lambda: publish_what_changed(expanded, folder),
            console.say_note,
        )
    elsewhere = f", {len(summary.elsewhere)} by other runs" if summary.elsewhere else ""
    console.out.print(
        f"{expanded.study.study}: {len(summary.executed)} steps executed{elsewhere}, "
        f"{summary.finished_before} were done before, {len(summary.failed)} failed, "
        f"{len(summary.skipped)} wait for them. Report: {written}",
        markup=False,
    )
    for holder in sorted({str(holder) for holder in summary.held.values()}):
        console.say_note(f"{holder} works on steps that are left; this run does not wait for it")
    if summary.failed or summary.held:
        console.err.print(f"Finished steps stand. Go on with: alspec run {spec}", markup=False)
        return ExitCode.STEP_FAILED if summary.failed else ExitCode.LOCKED
    return ExitCode.DONE


@contextmanager
def _made(folder: StudyFolder) -> Iterator[None]:
    """A study's folder for workers to log in; for bad data what is empty in it is removed again."""
    folder.root.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except InputError:
        if not folder.spec.exists():  # no run of this study got further
            folder.remove_empty()
        raise


@contextmanager
def _writable(folder: StudyFolder) -> Iterator[None]:
    """Have an error of the disk say which path it was and what to do."""
    try:
        yield
    except OSError as err:
        where = err.filename or folder.root
        raise StoreError(
            f"{where}: cannot be written ({err.strerror or err}). Finished steps stand. Free or "
            "repair the disk and run again, or choose another --work-dir"
        ) from err


def status(spec: Path | None, overrides: Sequence[str], work_dir: Path, *, as_json: bool) -> None:
    """Print how far studies are; one whose spec or data are gone is told of and passed over."""
    plans = [planned(spec, overrides)] if spec else list(_plans_in(work_dir))
    data = [_progress(plan, work_dir) for plan in plans]
    if as_json:
        console.say_json(data)
        return
    if not data:
        console.out.print(f"no study in {work_dir}", markup=False)
    for study in data:
        title = f"{study['study']}: {study['done']} of {study['steps']} steps done"
        rows = [
            (r["run"], "●" * r["done"] + "○" * (r["cycles"] - r["done"])) for r in study["runs"]
        ]
        console.say_table(title, ("run", "cycles"), rows)


def _plans_in(work_dir: Path) -> Iterator[Plan]:
    for path in sorted(work_dir.glob("*/spec.yaml")):
        try:
            yield planned(path, ())
        except AlspecError as err:
            console.say_error(err)


def _progress(plan: Plan, work_dir: Path) -> dict[str, Any]:
    from alspec.results.table import finished_sets

    store = StudyFolder(work_dir, plan.study.study).store
    return {
        "study": plan.study.study,
        "steps": len(plan.steps),
        "done": len(store.done(plan.steps)),
        "runs": [
            {"run": r.name, "cycles": len(r.sets), "done": len(list(finished_sets(r, store)))}
            for r in plan.runs
        ],
    }


def report(study: Path, overrides: Sequence[str], work_dir: Path, output: Path | None) -> None:
    """Write tables, figures and report of a spec's study, or of a study's folder."""
    from alspec.report.publish import publish

    if study.is_dir():
        folder = StudyFolder(study.absolute().parent, study.resolve().name)
        if not folder.spec.is_file():
            raise SpecError.at(study, "is not a study's folder: it has no spec.yaml")
        expanded = planned(folder.spec, overrides)
    else:
        expanded = planned(study, overrides)
        folder = StudyFolder(work_dir, expanded.study.study)
    with _writable(folder):
        written = publish(expanded, folder)
    if output is not None:
        _copy_report(folder, output)
        written = output
    console.out.print(str(written), markup=False)


def _copy_report(folder: StudyFolder, output: Path) -> None:
    """Copy the report; its figures stay in the study's folder and are linked from there."""
    figures = quote(Path(os.path.relpath(folder.figures, output.parent)).as_posix())
    text = folder.report.read_text("utf-8").replace("](figures/", f"]({figures}/")
    try:
        write_text(output, text)
    except OSError as err:
        raise InputError.at(output, f"cannot be written ({err.strerror})") from err
