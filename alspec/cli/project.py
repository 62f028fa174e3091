"""The commands about a labelling project: select, ingest, predict, and what it says of itself."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from alspec import api
from alspec.cli import console
from alspec.cli.display import closing_display
from alspec.cli.report_copy import copy_report, linked_from
from alspec.errors import AlspecError, ExitCode, InputError, Problem, grouped
from alspec.labelling.batches import Role, Verdict
from alspec.labelling.delivery.base import MaskValues
from alspec.labelling.hand_over import Tool
from alspec.labelling.outcomes import ProjectResults
from alspec.labelling.taking import Ingested
from alspec.labelling.worth import FEWEST
from alspec.spec.load import load_project, names_project
from alspec.spec.model import Study
from alspec.spec.project import Project

_SHOWN = 20


def project_of(path: Path | None, overrides: Sequence[str]) -> Project | None:
    """The project of a spec file or of a project's folder; None for anything else."""
    if path is None:
        return None
    spec = path / "spec.yaml" if path.is_dir() else path
    return load_project(spec, overrides) if names_project(spec) else None


def spec_of(path: Path, overrides: Sequence[str]) -> Study | Project:
    """A project, by its spec or folder, or the study of a spec."""
    return project_of(path, overrides) or api.load_study(path, overrides)


def check(project: Project, *, as_json: bool = False) -> None:
    """Read every image, and every mask that is there; nothing is trained."""
    with closing_display() as display:
        found = api.check(project, progress=display)
    if as_json:
        about = {"project": project.project, "images": found.images, "masks": found.masks}
        console.say_json(about)
        return
    text = f"{project.project}: good; {found.images} images, {found.masks} masks"
    console.out.print(text, markup=False)


def select(
    path: Path,
    overrides: Sequence[str],
    images: int | None,
    tool: Tool,
    work_dir: Path,
    devices: str | None,
    *,
    method: str | None,
    anyway: bool,
    trust_config: bool,
) -> ExitCode:
    """Show the open batch or make one; then the project waits for labels."""
    project = load_project(path, overrides)
    with closing_display() as display:
        made = api.select(
            project,
            images,
            method=method,
            to=tool,
            anyway=anyway,
            devices=devices,
            work_dir=work_dir,
            progress=display,
            trust_config=trust_config,
        )
    batch = made.batch
    check = len(batch.ids(Role.CHECK))
    asked = f"{len(batch.rows)} images" + (f", {check} of them to check with" if check else "")
    head = "made" if made.new else "is open"
    console.out.print(f"batch {batch.number} {head}: {asked}", markup=False)
    for reason in batch.about.get("reasons", ()):
        console.out.print(f"  {reason}", markup=False)
    back = len(batch.rows) - made.waiting
    came_back = f"{back} came back, " if back else ""
    console.out.print(f"{came_back}{made.waiting} images wait for labels")
    console.out.print(f"Contact sheet: {batch.folder.contact_sheet}", markup=False)
    how, spec = made.hand_over / "HOW-TO.md", shlex.quote(str(path))
    console.out.print(
        f"Next: label them as {how} says, then alspec ingest {spec} EXPORT", markup=False
    )
    return ExitCode.WAITING_FOR_LABELS


def ingest(
    path: Path,
    overrides: Sequence[str],
    deliveries: Sequence[Path],
    work_dir: Path,
    *,
    accept_unchanged: bool,
    hours: float | None,
    annotator: str | None,
    mask_values: MaskValues,
) -> ExitCode:
    """Take deliveries and say what came of each; WAITING_FOR_LABELS until batches are complete."""
    project = load_project(path, overrides)
    with closing_display() as display:
        taken = api.ingest(
            project,
            *deliveries,
            accept_unchanged=accept_unchanged,
            hours=hours,
            annotator=annotator,
            mask_values=mask_values,
            work_dir=work_dir,
            progress=display,
        )
    for one in taken.deliveries:
        _say_ingested(one)
    counts = ", ".join(f"{count} {name}" for name, count in taken.state.counts().items())
    console.out.print(f"{project.project}: {counts}", markup=False)
    if taken.waiting:
        console.out.print(f"{taken.waiting} images still wait for labels")
        return ExitCode.WAITING_FOR_LABELS
    spec = shlex.quote(str(path))
    text = f"Next: alspec run {spec} trains on them; alspec select {spec} goes on"
    console.out.print(text, markup=False)
    return ExitCode.DONE


def _say_ingested(one: Ingested) -> None:
    counts = ", ".join(f"{one.count(verdict)} {verdict.value}" for verdict in Verdict
                       if one.count(verdict))  # fmt: skip
    known = " (nothing new)" if one.known else ""
    console.out.print(f"{one.path}: {counts or 'nothing taken'}{known}", markup=False)
    of_files = {refused.why for refused in one.refused}
    notes = [
        Problem(image, f"{record['verdict']}: {record.get('why', '')}")
        for image, record in sorted(one.verdicts.items())
        if record["verdict"] in (Verdict.UNCHANGED.value, Verdict.REFUSED.value)
        and record.get("why") not in of_files
    ]
    notes += [Problem(refused.file, f"refused: {refused.why}") for refused in one.refused]
    notes = grouped(notes)
    for note in notes[:_SHOWN]:
        console.say_note(str(note))
    if len(notes) > _SHOWN:
        console.say_note(f"and {len(notes) - _SHOWN} more that were not taken")


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
        done = api.predict(
            project,
            output,
            images=images,
            confidence=confidence,
            devices=devices,
            work_dir=path.absolute().parent if path.is_dir() else work_dir,
            progress=display,
        )
    for problem in done.problems[:_SHOWN]:
        console.say_note(str(problem))
    unreadable = len({problem.where for problem in done.problems})
    before = done.images - done.written - unreadable
    text = f"{done.written} masks written to {output}"
    text += f", {before} were there" if before else ""
    text += f", {unreadable} images not readable" if unreadable else ""
    text += f"; model: trained on {done.training.labelled} images"
    console.out.print(text, markup=False)
    return ExitCode.STEP_FAILED if done.problems else ExitCode.DONE


def refuse_options(project: Project, for_studies: Mapping[str, object]) -> None:
    """Raise InputError for options of `run` that a project has no use for."""
    given = [name for name, value in for_studies.items() if value]
    if given:
        what = f"{', '.join(given)}: a study's; the run of a labelling project takes no such option"
        raise InputError.at(project.project, what)


def run(
    project: Project,
    executor: str | None,
    devices: str | None,
    work_dir: Path,
    *,
    trust_config: bool,
) -> ExitCode:
    """Train on what is labelled and measure it; WAITING_FOR_LABELS while a batch is open."""
    with closing_display() as display:
        done = api.run(
            project,
            devices=devices,
            work_dir=work_dir,
            progress=display,
            executor=executor,
            trust_config=trust_config,
        )
    say_state(done)
    return code_of(done)


def status(project: Project, work_dir: Path, *, as_json: bool) -> ExitCode:
    """Print the state of a project."""
    found = api.status(project, work_dir=work_dir)
    if as_json:
        console.say_json(found.summary.to_json())
    else:
        say_state(found)
    return code_of(found)


def states_in(work_dir: Path) -> Iterator[ProjectResults]:
    """The state of every project of a work directory; a broken one is reported, passed over."""
    for path in sorted(work_dir.glob("*/spec.yaml")):
        if names_project(path):
            try:
                yield api.status(load_project(path), work_dir=work_dir)
            except AlspecError as err:
                console.say_error(err)


def report(project: Project, work_dir: Path, output: Path | None) -> None:
    """Write the report of a project."""
    written = api.publish(project, work_dir=work_dir).report
    if output is not None:
        content = written.read_text("utf-8")
        copy_report(linked_from(output, content, written.parent / "figures"), output)
    console.out.print(str(output or written), markup=False)


def code_of(found: ProjectResults) -> ExitCode:
    """WAITING_FOR_LABELS while a batch is open."""
    return ExitCode.WAITING_FOR_LABELS if found.summary.waiting else ExitCode.DONE


def say_state(found: ProjectResults) -> None:
    """Print a project's state."""
    summary = found.summary
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
        points: list[tuple[object, ...]] = [
            (n, f"{y:.2f}", f"{low:.2f} to {high:.2f}") for n, y, low, high in summary.worth.points
        ]
        console.say_table("", ("trained on", "mIoU", "95 % interval"), points)
        gain = f"; next batch {summary.worth.next_batch}"
        if summary.worth.next_batch is None:
            gain = f": {summary.worth.sizes} of the {FEWEST} measured sizes that a curve takes"
        console.out.print(f"Worth labelling more: {summary.worth.advice.value}{gain}", markup=False)
    if summary.untrained:
        count = summary.untrained
        console.out.print(
            f"{count} labelled images are new or revised since the last training: alspec run trains"
        )
    if found.report.is_file():
        console.out.print(f"Report: {found.report}", markup=False)
