"""The report of a labelling project in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alspec.labelling.state import read_state
from alspec.labelling.summary import Summary, class_pixels, summarise
from alspec.labelling.worth import MARGIN, Advice, Gain
from alspec.report.figures.worth_curve import draw_worth
from alspec.spec.project import Project
from alspec.store.project_folder import ProjectFolder
from alspec.system.atomic import write_bytes, write_text

FIGURE = "miou_by_labels"
"""Name of the figure's files below `figures/`."""

_ADVICE = {
    Advice.STOP: "**Stop**: another batch is not expected to bring what it costs.",
    Advice.GO_ON: "**Go on**: another batch is expected to be worth it.",
    Advice.CANNOT_TELL: "**Cannot tell yet**.",
}


def write_report(project: Project, folder: ProjectFolder) -> Path:
    """Write `report.md` and the figure in it; the path of the first."""
    folder.root.mkdir(parents=True, exist_ok=True)
    state = read_state(project, folder)
    summary = summarise(project, folder)
    if summary.worth is not None and len(summary.worth.points) > 1:
        folder.figures.mkdir(exist_ok=True)
        for suffix, data in draw_worth(summary.worth, project.batch).files().items():
            write_bytes(folder.figures / f"{FIGURE}.{suffix}", data)
    write_text(folder.report, markdown(project, summary, class_pixels(state)))
    return folder.report


def markdown(project: Project, summary: Summary, pixels: NDArray[np.int64]) -> str:
    """The whole report."""
    parts = [
        f"# {summary.project}",
        _state(summary),
        _batches(summary),
        _measures(summary),
        _worth(project, summary),
        _classes(project, summary, pixels),
        _people(summary),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _state(summary: Summary) -> str:
    total = sum(summary.counts.values())
    counts = ", ".join(f"{count} {name}" for name, count in summary.counts.items())
    text = f"{total} images: {counts}."
    if summary.waiting:
        text += " A batch waits for labels; `alspec ingest` takes them."
    if summary.untrained:
        text += (
            f" {summary.untrained} labelled images are new or revised since the last training; "
            "`alspec run` or `alspec select` trains on them."
        )
    return text


def _batches(summary: Summary) -> str:
    if not summary.batches:
        return ""
    header = ("batch", "method", "asked", "check", "labelled", "rejected", "waiting", "hours")
    rows = [
        (
            batch.number,
            batch.method,
            batch.asked,
            batch.check,
            batch.labelled,
            batch.rejected,
            batch.waiting,
            "" if batch.hours is None else f"{batch.hours:.1f}",
        )
        for batch in summary.batches
    ]
    last = summary.batches[-1]
    why = "\n".join(f"- {reason}" for reason in last.reasons)
    return f"## Batches\n\n{_table(header, rows)}\n\nBatch {last.number}:\n\n{why}"


def _measures(summary: Summary) -> str:
    if summary.worth is None:
        return (
            "## Quality\n\nNo model is measured yet: label the check images of a batch, then "
            "`alspec run`."
        )
    rows = [(n, f"{y:.2f}", f"{low:.2f} to {high:.2f}") for n, y, low, high in summary.worth.points]
    table = _table(("trained on", "mIoU", "95 % interval"), rows)
    about = f"On {summary.measured_on} images that no model was trained on, resampled 1,000 times."
    figure = ""
    if len(rows) > 1:
        figure = f"\n\n![mIoU by labelled images, with its 95 % interval](figures/{FIGURE}.svg)"
    return f"## Quality\n\n{table}\n\n{about}{figure}"


def _worth(project: Project, summary: Summary) -> str:
    found = summary.worth
    if found is None:
        return ""
    lines = [_ADVICE[found.advice]]
    if found.next_batch is None or found.doubling is None:
        lines.append("Three measured labelled sets of different sizes are needed for a curve.")
    else:
        cost = _cost(project, summary, found.next_batch)
        lines.append(f"The next batch: {found.next_batch}{cost}.")
        lines.append(f"As many labels again: {found.doubling}.")
        lines.append(f"A batch counts as worth it from {MARGIN} mIoU on. The advice stops nothing.")
    return "## Worth labelling more?\n\n" + "\n\n".join(lines)


def _cost(project: Project, summary: Summary, gain: Gain) -> str:
    each = f", {gain.expected / project.batch:+.3f} an image"
    if summary.hours_per_image:
        hours = summary.hours_per_image * project.batch
        each += f", {gain.expected / hours:+.2f} an hour ({hours:.1f} hours)"
    return each


def _classes(project: Project, summary: Summary, pixels: NDArray[np.int64]) -> str:
    total = int(pixels.sum())
    if not total:
        return ""
    corrected = [batch.corrected for batch in summary.batches if batch.corrected]
    last = corrected[-1] if corrected else {}
    rows = [
        (
            name,
            f"{100 * int(count) / total:.2f} %",
            f"{100 * last[name]:.1f} %" if name in last else "",
        )
        for name, count in zip(project.classes, pixels, strict=True)
    ]
    table = _table(("class", "labelled pixels", "corrected in the last batch"), rows)
    note = ""
    if last:
        note = (
            f"\n\nPeople changed {100 * last['']:.1f} % of the proposed pixels of the last batch: "
            "the model's own error on images that were chosen, not on all."
        )
    return f"## Classes\n\n{table}{note}"


def _people(summary: Summary) -> str:
    if summary.agreement is None:
        return ""
    miou, images = summary.agreement
    about = f"On {images} images that several people labelled, they agree to {miou:.1f} mIoU."
    return f"## People\n\n{about}"


def _table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    def lines() -> Iterator[str]:
        yield "| " + " | ".join(header) + " |"
        yield "|" + " --- |" * len(header)
        for row in rows:
            yield "| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |"

    return "\n".join(lines())
