"""The commands about a study: check, plan, run, report."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from alspec import api, studies
from alspec.cli import console
from alspec.cli.display import closing_display
from alspec.cli.project import spec_of
from alspec.cli.report_copy import copy_report, linked_from
from alspec.errors import ExitCode, InputError, StepFailed
from alspec.plan.cost.time import parse_duration
from alspec.plan.dag import Plan
from alspec.store.study_folder import StudyFolder


def check(
    spec: Path, overrides: Sequence[str], *, trust_config: bool, as_json: bool = False
) -> None:
    """Validate, list and read everything; print what was found."""
    from alspec.plan.summary import settings_as_data

    with closing_display() as display:
        study = api.load_study(spec, overrides)
        found = api.check(study, trust_config=trust_config, progress=display)
    if as_json:
        about = {"study": study.study, "images_read": dict(found.images)}
        settings = settings_as_data(found.plan)
        console.say_json({**about, "facts": list(found.facts), "settings": settings})
        return
    for line in found.facts:
        console.out.print(line, markup=False)
    for setting in found.plan.settings:
        counts = ", ".join(map(str, setting.labelled_images))
        pool = f"pool of {setting.pool_images} ({setting.pool})"
        text = f"{setting.dataset}: {pool}, {setting.budget} labels {counts}"
        console.out.print(text, markup=False)
    read = (
        f"{sum(found.images.values())} images read"
        if any(found.images.values())
        else "nothing new to read"
    )
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
    gpus: str | None = None,
) -> None:
    """Print the plan of a study, or of a project's next batch, as a table, JSON or a graph."""
    from alspec.plan.graph import mermaid
    from alspec.plan.summary import as_data
    from alspec.run.scaling import parse_counts

    counts = parse_counts(gpus) if gpus else []
    expanded = api.plan(spec_of(spec, overrides), trust_config=trust_config, work_dir=work_dir)
    if graph and as_json:
        raise InputError.at("--graph", "is a flowchart, not JSON; leave out --graph or --json")
    if graph:
        done = StudyFolder(work_dir, expanded.study.study).store.done(expanded.steps)
        console.out.print(mermaid(expanded, done), markup=False, end="")
        return
    with closing_display() as display:
        cost = api.outlook(
            expanded,
            work_dir=work_dir,
            devices=devices,
            gpus=counts,
            progress=display,
            calibrate=calibrate,
            trust_config=trust_config,
        )
    if as_json:
        more = {"scaling": cost.scaling and cost.scaling.as_data()} if counts else {}
        console.say_json({**as_data(expanded, cost.done, cost.seconds), **more})
        return
    _print_plan(expanded, cost)
    if cost.scaling:
        header = (f"{cost.scaling.device} devices", "time", "times faster")
        console.say_table("", header, cost.scaling.rows())
        console.out.print(cost.scaling.chain_in_words(), markup=False)


def _print_plan(expanded: Plan, cost: api.Outlook) -> None:
    from alspec.plan.summary import as_data, step_rows
    from alspec.run.preflight.disk import in_words

    header = ("dataset", "pool", "budget", "images", "labelled at each cycle")
    rows = [
        (s.dataset, s.pool, s.budget, s.pool_images, " ".join(map(str, s.labelled_images)))
        for s in expanded.settings
    ]
    console.say_table(f"{expanded.study.study}: labelled images", header, rows)
    steps = step_rows(expanded, cost.done)
    console.say_table("", ("step", "distinct", "done", "to run"), steps)
    data = as_data(expanded, cost.done)
    numbers = {"run": data["runs"], "training": data["trainings"]}
    counts = ", ".join(f"{n} {name}" + ("" if n == 1 else "s") for name, n in numbers.items())
    if data["trainings_unshared"] >= data["trainings"]:  # a project also has its former models
        counts += f"; one a run and cycle would be {data['trainings_unshared']}"
    console.out.print(f"{counts}. {in_words(data['disk_bytes'])} on disk when finished.")
    for text in filter(None, (cost.time, cost.disk)):
        console.out.print(text, markup=False)


def run(
    spec: Path,
    overrides: Sequence[str],
    devices: str | None,
    work_dir: Path,
    *,
    executor: str | None = None,
    jobs: int | None = None,
    loader_workers: int = 0,
    trust_config: bool = False,
    wait: bool = True,
    idle: str | None = None,
    revise: bool = False,
    only: Sequence[str] = (),
    until: Sequence[str] = (),
    track: Sequence[str] = (),
    full_paths: bool = False,
) -> ExitCode:
    """Run a study and publish it; LOCKED if all that is left was left to other runs."""
    study = api.load_study(spec, overrides)
    with closing_display() as display:
        done = api.run(
            study,
            devices=devices,
            work_dir=work_dir,
            progress=display,
            executor=executor,
            jobs=jobs,
            loader_workers=loader_workers,
            trust_config=trust_config,
            wait=wait,
            idle_seconds=parse_duration(idle) if idle else None,
            revise=revise,
            only=only,
            until=until,
            track=track,
            full_paths=full_paths,
        )
    elsewhere = f", {done.elsewhere} by other runs" if done.elsewhere else ""
    console.out.print(
        f"{study.study}: {done.executed} steps executed{elsewhere}, "
        f"{done.finished_before} were done before, {len(done.failed)} failed, "
        f"{done.skipped} skipped (an earlier step failed). Report: {done.report}",
        markup=False,
    )
    for holder in sorted(set(done.held.values())):
        console.say_note(f"{holder} works on steps that are left; this run does not wait for it")
    if done.stopped and wait:
        console.say_error(StepFailed(done.stopped))
    elif done.stopped:
        console.say_note(done.stopped)
    if done.failed or done.held or done.stopped:
        text = f"Completed steps are kept. Resume with: alspec run {shlex.quote(str(spec))}"
        console.err.print(text, markup=False)
        if done.failed or (done.stopped and wait):
            return ExitCode.STEP_FAILED
        return ExitCode.DONE if idle and wait else ExitCode.LOCKED
    return ExitCode.DONE


def report(
    study: Path, overrides: Sequence[str], work_dir: Path, form: str, output: Path | None
) -> None:
    """Write tables, figures and reports of a spec's study, or of a study's folder.

    Args:
        study: the spec, or the folder.
        overrides: of the spec.
        work_dir: where studies are, for a spec.
        form: `md` and `html` name the file that was written; `text` is printed.
        output: where the report in this form is copied to; the text is then not printed.
    """
    if study.is_dir():
        done = studies.publish(study, overrides=overrides)
    else:
        done = api.publish(api.load_study(study, overrides), work_dir=work_dir)
    folder, written = done.folder, done.report
    if form == "text":
        from alspec.report.publish import text_of

        content = text_of(done.plan, folder)
    else:
        written = folder.report_html if form == "html" else folder.report
        content = written.read_text("utf-8")
    if output is not None:
        if form == "md":
            content = linked_from(output, content, folder.figures)
        copy_report(content, output)
    if form == "text" and output is None:
        console.out.print(content, markup=False, end="")
    else:
        console.out.print(str(output or written), markup=False)
