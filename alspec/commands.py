"""What each command does, in terms of the layers below; the only place that knows them all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from alspec import console, plugins
from alspec.errors import AlspecError, ExitCode, InputError, SpecError
from alspec.plan.dag import Plan
from alspec.plan.expand import expand
from alspec.spec.load import dump_study, load_study, located
from alspec.store import Store, StudyFolder, write_text


@contextmanager
def _told_by_place(spec: Path, overrides: Sequence[str]) -> Iterator[None]:
    """Give problems that know their place in the spec their file, line and column."""
    try:
        yield
    except InputError as err:
        raise type(err)(located(spec, err.problems, overrides)) from err


def _planned(spec: Path, overrides: Sequence[str]) -> Plan:
    study = load_study(spec, overrides)
    with _told_by_place(spec, overrides):
        return expand(study)


def check(spec: Path, overrides: Sequence[str]) -> None:
    """Validate, list and read everything; print what was found."""
    from alspec.run.preflight import check_data

    planned = _planned(spec, overrides)
    with _told_by_place(spec, overrides), console.Reading() as progress:
        images = check_data(planned.study.datasets, progress)
    for setting in planned.settings:
        counts = ", ".join(map(str, setting.labelled_images))
        console.out.print(
            f"{setting.dataset}: pool of {setting.pool_images} ({setting.pool}), "
            f"{setting.budget} labels {counts}"
        )
    console.out.print(f"{spec}: good; {sum(images.values())} images read", markup=False)




def plan(
    spec: Path, overrides: Sequence[str], work_dir: Path, *, as_json: bool, graph: bool
) -> None:
    """Print the plan as a table, as JSON or as a graph."""
    from alspec.plan.explain import as_data, step_rows
    from alspec.plan.graph import mermaid

    planned = _planned(spec, overrides)
    store = StudyFolder(work_dir, planned.study.study).store
    done = {key for key in planned.steps if store.is_done(key)}
    if graph:
        console.out.print(mermaid(planned, done), markup=False, end="")
        return
    data = as_data(planned, done)
    if as_json:
        console.say_json(data)
        return
    console.say_table(
        f"{planned.study.study}: labelled images",
        ("dataset", "pool", "budget", "images", "labelled at each cycle"),
        [
            (s["dataset"], s["pool"], s["budget"], s["pool_images"], " ".join(map(str, s["labelled_images"])))
            for s in data["settings"]
        ],
    )
    console.say_table("", ("step", "distinct", "done", "to run"), step_rows(planned, done))
    console.out.print(
        f"{data['runs']} runs, {data['trainings']} trainings; one a run and cycle would be "
        f"{data['trainings_unshared']}. About {data['disk_bytes'] / 1e6:.0f} MB on disk."
    )


def run(spec: Path, overrides: Sequence[str], devices: str | None, work_dir: Path) -> ExitCode:
    """Run a study and publish it."""
    from alspec.plan.estimate import step_costs
    from alspec.publish import publish
    from alspec.run.devices import parse_devices
    from alspec.run.events import EventLog
    from alspec.run.local import LocalExecutor
    from alspec.run.loop import needed
    from alspec.run.loop import run as run_plan
    from alspec.run.preflight import check_data

    slots = parse_devices(devices)
    planned = _planned(spec, overrides)
    folder = StudyFolder(work_dir, planned.study.study)
    todo = needed(planned, folder.store)
    if todo:
        with _told_by_place(spec, overrides), console.Reading() as progress:
            check_data(planned.study.datasets, progress, folder.store)
    folder.root.mkdir(parents=True, exist_ok=True)
    write_text(folder.spec, dump_study(planned.study))
    executor = LocalExecutor(folder.store.root.absolute(), slots[: len(todo)], folder.logs)
    costs = step_costs(planned)
    try:
        with console.RunDisplay(len(todo), {key: costs[key] for key in todo}) as display:
            summary = run_plan(planned, folder.store, executor, EventLog(folder, display))
    finally:
        executor.close()
    written = publish(planned, folder)
    console.out.print(
        f"{planned.study.study}: {len(summary.executed)} steps executed, "
        f"{summary.finished_before} were done before, {len(summary.failed)} failed, "
        f"{len(summary.skipped)} wait for them. Report: {written}",
        markup=False,
    )
    if summary.failed:
        console.err.print(f"Finished steps stand. Go on with: alspec run {spec}", markup=False)
        return ExitCode.STEP_FAILED
    return ExitCode.DONE


def status(spec: Path | None, overrides: Sequence[str], work_dir: Path, *, as_json: bool) -> None:
    """Print how far studies are."""
    from alspec.results.table import finished_sets

    if spec is None:
        plans = [_planned(path, ()) for path in sorted(work_dir.glob("*/spec.yaml"))]
    else:
        plans = [_planned(spec, overrides)]
    data = []
    for planned in plans:
        store = StudyFolder(work_dir, planned.study.study).store
        runs = [
            {"run": r.name, "cycles": len(r.sets), "done": sum(1 for _ in finished_sets(r, store))}
            for r in planned.runs
        ]
        steps_done = sum(store.is_done(key) for key in planned.steps)
        data.append(
            {"study": planned.study.study, "steps": len(planned.steps), "done": steps_done, "runs": runs}
        )
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


def report(study: Path, overrides: Sequence[str], work_dir: Path, output: Path | None) -> None:
    """Write tables, figures and report of a spec's study, or of a study's folder."""
    from alspec.publish import publish

    if study.is_dir():
        work_dir, spec = study.parent, study / "spec.yaml"
        if not spec.is_file():
            raise SpecError.at(study, "is not a study's folder: it has no spec.yaml")
    else:
        spec = study
    planned = _planned(spec, overrides)
    written = publish(planned, StudyFolder(work_dir, planned.study.study))
    if output is not None:
        shutil.copyfile(written, output)
        written = output
    console.out.print(str(written), markup=False)


def recommend(
    spec: Path | None,
    overrides: Sequence[str],
    redundancy: str | None,
    budget: str | None,
    ssl: bool | None,
    *,
    as_json: bool,
) -> None:
    """Print the guide's advice for what is known of a study."""
    from alspec.recommend.guide import Facts, advise

    if spec is not None:
        planned = _planned(spec, overrides)
        advices = _advice_for_study(planned, redundancy, budget, ssl)
    else:
        facts = {"redundancy": redundancy, "budget": budget, "ssl": ssl}
        advices = [("", advise(Facts.model_validate(facts)))]
    if as_json:
        console.say_json({"advice": [e.to_json() for _, advice in advices for e in advice.entries]})
        return
    for title, advice in advices:
        if title:
            console.out.print(title, markup=False)
        for entry in advice.entries:
            console.say_advice(entry)


def _advice_for_study(
    planned: Plan, redundancy: str | None, budget: str | None, ssl: bool | None
) -> list[tuple[str, object]]:
    """The advice for each setting, its pool measured now."""
    from alspec.datasets.base import Split, open_dataset
    from alspec.datasets.redundancy import build_pool
    from alspec.datasets.similarity import measured_redundancy
    from alspec.publish import advice_for
    from alspec.recommend.guide import Facts, advise

    found: list[tuple[str, object]] = []
    for spec in planned.study.datasets:
        dataset = open_dataset(spec)
        pool = build_pool(spec.redundancy, dataset.frames(Split.POOL))
        share, level = (None, redundancy)
        if redundancy is None:
            share, level = measured_redundancy(dataset, pool.frames)
        measured = "" if share is None else f" ({100 * share:.0f} % of frames have a near-copy)"
        for setting in (s for s in planned.settings if s.dataset == spec.name):
            title = f"{spec.name}, budget {setting.budget}: redundancy {level or 'unknown'}{measured}"
            if budget is None:
                found.append((title, advice_for(setting, level, ssl)))
            else:
                facts = {"redundancy": level, "budget": budget, "ssl": ssl}
                found.append((title, advise(Facts.model_validate(facts))))
    return found


def doctor(work_dir: Path) -> ExitCode:
    """Print what works on this machine; STEP_FAILED if something needed does not."""
    from alspec.run.doctor import examine

    healthy = True
    for finding in examine(work_dir):
        healthy &= finding.works or not finding.needed
        mark = "[green]✓[/]" if finding.works else "[red]✗[/]" if finding.needed else "[yellow]-[/]"
        console.say_finding(mark, finding.name, finding.detail)
    return ExitCode.DONE if healthy else ExitCode.STEP_FAILED


def work(key: str, store: Path, device: str) -> None:
    """Do one step in this process and commit it."""
    from alspec.plan.step import Step
    from alspec.run import worker

    target = Store(store)
    step = Step.from_json(target.read_recipe(key))
    if step.key != key:
        raise AlspecError(f"{target.recipe_path(key)}: describes another step; plan again")
    if target.is_done(key):
        console.out.print(f"{step.label}: done before", markup=False)
        return
    worker.work_on(step, target, worker.prepare(device), lambda _done, _total: None)
    console.out.print(f"{step.label}: done", markup=False)


def list_plugins(groups: Sequence[str], *, as_json: bool) -> None:
    """Print the plugins of some groups; a broken one is shown with what is wrong."""
    rows = []
    for plugin in (plugin for group in groups for plugin in plugins.declared(group)):
        kind = plugins.GROUPS[plugin.group]
        try:
            about = (plugins.load(plugin.group, plugin.name).__doc__ or "").strip().splitlines()[0]
        except AlspecError as err:
            about = f"broken: {err}"
        rows.append({"name": plugin.name, "kind": kind, "package": plugin.package, "about": about})
    if as_json:
        console.say_json(rows)
        return
    console.say_table("", ("name", "kind", "package", "about"), [tuple(r.values()) for r in rows])


