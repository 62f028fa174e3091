"""The commands about a labelling project: select, ingest, predict, and what it says of itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alspec.cli import console
from alspec.cli.display import closing_display
from alspec.errors import AlspecError, ExitCode, InputError
from alspec.labelling import commands
from alspec.labelling.batches import Role, Verdict
from alspec.labelling.hand_over import Tool
from alspec.labelling.selection import Wanted
from alspec.labelling.summary import Summary
from alspec.labelling.taking import Ingested, Options
from alspec.spec.load import load_project, names_project
from alspec.spec.project import Project
from alspec.system.atomic import write_text

_SHOWN = 20


def project_of(path: Path | None, overrides: Sequence[str]) -> Project | None:
    """The project of a spec file or of a project's folder; None for anything else."""
    if path is None:
        return None
    spec = path / "spec.yaml" if path.is_dir() else path
    return load_project(spec, overrides) if names_project(spec) else None


def check(project: Project, *, as_json: bool = False) -> None:
    """Read every image, and every mask that is there; writes nothing."""
    with closing_display() as display:
        counts = commands.check(project, display)
    if as_json:
        console.say_json({"project": project.project, **counts})
        return
    text = ", ".join(f"{count} {name}" for name, count in counts.items())
    console.out.print(f"{project.project}: good; {text}", markup=False)


def select(
    path: Path,
    overrides: Sequence[str],
    wanted: Wanted,
    tool: Tool,
    work_dir: Path,
    devices: str | None,
) -> ExitCode:
    """Show the open batch or make one; then the project waits for labels."""
    project = load_project(path, overrides)
    with closing_display() as display:
        place = commands.Place(work_dir, devices, display, trust_config=wanted.trust_config)
        made = commands.select(project, wanted, tool, place)
    batch, state = made.found.batch, made.state
    check = len(batch.ids(Role.CHECK))
    asked = f"{len(batch.rows)} images, {check} of them to check with"
    head = "made" if made.found.new else "is open"
    console.out.print(f"batch {batch.number} {head}: {asked}", markup=False)
    for reason in batch.about.get("reasons", ()):
        console.out.print(f"  {reason}", markup=False)
    waiting = len(state.waiting(batch))
    console.out.print(f"{len(batch.rows) - waiting} came back, {waiting} are waited for")
    console.out.print(f"Contact sheet: {batch.folder.contact_sheet}", markup=False)
    console.out.print(f"Hand-over: {made.hand_over} (read its HOW-TO.md)", markup=False)
    console.out.print(f"Then: alspec ingest {path} EXPORT", markup=False)
    return ExitCode.WAITING_FOR_LABELS


def ingest(
    path: Path,
    overrides: Sequence[str],
    deliveries: Sequence[Path],
    options: Options,
    work_dir: Path,
) -> ExitCode:
    """Take deliveries and say what came of each; WAITING_FOR_LABELS until batches are complete."""
    project = load_project(path, overrides)
    with closing_display() as display:
        place = commands.Place(work_dir, observer=display)
        taken, state = commands.ingest(project, deliveries, options, place)
    for one in taken:
        _say_ingested(one)
    waiting = sum(len(state.waiting(batch)) for batch in state.batches)
    counts = ", ".join(f"{count} {name}" for name, count in state.counts().items())
    console.out.print(f"{project.project}: {counts}", markup=False)
    if waiting:
        console.out.print(f"{waiting} images are still waited for")
        return ExitCode.WAITING_FOR_LABELS
    console.out.print(f"Next: alspec run {path} trains on them; alspec select {path} goes on")
    return ExitCode.DONE


def _say_ingested(one: Ingested) -> None:
    counts = ", ".join(f"{one.count(verdict)} {verdict.value}" for verdict in Verdict
                       if one.count(verdict))  # fmt: skip
    known = " (nothing new)" if one.known else ""
    console.out.print(f"{one.path}: {counts or 'nothing taken'}{known}", markup=False)
    for image, said in sorted(one.verdicts.items()):
        if said["verdict"] in (Verdict.UNCHANGED.value, Verdict.REFUSED.value):
            console.say_note(f"{image}: {said['verdict']}: {said.get('why', '')}")
    for refused in one.refused[:_SHOWN]:
        console.say_note(f"{refused.file}: refused: {refused.why}")
    if len(one.refused) > _SHOWN:
        console.say_note(f"and {len(one.refused) - _SHOWN} more refused files")


def predict(
    path: Path,
    overrides: Sequence[str],
    output: Path,
    images: Path | None,
    work_dir: Path,
    devices: str | None,
    *,
    confidence: bool,
) -> ExitCode:
    """Write masks and say with which model; STEP_FAILED if images could not be read."""
    project = project_of(path, overrides)
    if project is None:
        raise InputError.at(path, "is neither a labelling project's spec nor its folder")
    with closing_display() as display:
        place = commands.Place(
            path.absolute().parent if path.is_dir() else work_dir, devices, display
        )
        done = commands.predict(project, output, place, images=images, confidence=confidence)
    for problem in done.problems[:_SHOWN]:
        console.say_note(str(problem))
    console.out.print(
        f"{done.written} masks written to {output}, {done.images - done.written} left as they "
        f"were or not readable; model: trained on {done.training.labelled} images",
        markup=False,
    )
    return ExitCode.STEP_FAILED if done.problems else ExitCode.DONE


def run(project: Project, devices: str | None, work_dir: Path, *, trust_config: bool) -> ExitCode:
    """Train on what is labelled and measure it; WAITING_FOR_LABELS while a batch is open."""
    with closing_display() as display:
        place = commands.Place(work_dir, devices, display, trust_config=trust_config)
        summary = commands.run(project, place)
    _say(summary, place.folder(project).report)
    return _waits(summary.waiting)


def status(project: Project, work_dir: Path, *, as_json: bool) -> ExitCode:
    """Print the state of a project."""
    place = commands.Place(work_dir)
    summary = commands.status(project, place)
    if as_json:
        console.say_json(summary.to_json())
    else:
        _say(summary, place.folder(project).report)
    return _waits(summary.waiting)


def status_of_all(work_dir: Path) -> None:
    """Print the state of every project of a work directory; a broken one is passed over."""
    for path in sorted(work_dir.glob("*/spec.yaml")):
        if names_project(path):
            try:
                status(load_project(path), work_dir, as_json=False)
            except AlspecError as err:
                console.say_error(err)


def report(project: Project, work_dir: Path, output: Path | None) -> None:
    """Write the report of a project."""
    written = commands.report(project, commands.Place(work_dir))
    if output is not None:
        write_text(output, written.read_text("utf-8"))
    console.out.print(str(output or written), markup=False)


def recommend(project: Project, work_dir: Path, *, as_json: bool) -> None:
    """Print what the guide advises for a project's images and what is labelled of them."""
    choice = commands.recommend(project, commands.Place(work_dir))
    if as_json:
        console.say_json({"advice": [choice.entry.to_json()] if choice.entry else []})
        return
    for reason in choice.reasons:
        console.out.print(reason, markup=False)
    if choice.entry:
        console.say_advice(choice.entry)


def _waits(waiting: bool) -> ExitCode:
    return ExitCode.WAITING_FOR_LABELS if waiting else ExitCode.DONE


def _say(summary: Summary, report: Path) -> None:
    counts = ", ".join(f"{count} {name}" for name, count in summary.counts.items())
    console.out.print(f"{summary.project}: {counts}", markup=False)
    if summary.batches:
        header = ("batch", "method", "asked", "check", "labelled", "rejected", "waiting")
        rows = [
            (b.number, b.method, b.asked, b.check, b.labelled, b.rejected, b.waiting)
            for b in summary.batches
        ]
        console.say_table("", header, rows)
    if summary.worth is not None:
        points: list[tuple[Any, ...]] = [
            (n, f"{y:.2f}", f"{low:.2f} to {high:.2f}") for n, y, low, high in summary.worth.points
        ]
        console.say_table("", ("trained on", "mIoU", "95 % interval"), points)
        gain = f"; next batch {summary.worth.next_batch}" if summary.worth.next_batch else ""
        console.out.print(f"Worth labelling more: {summary.worth.advice.value}{gain}", markup=False)
    if summary.untrained:
        console.out.print(f"{summary.untrained} labelled images were in no training yet")
    if report.is_file():
        console.out.print(f"Report: {report}", markup=False)
