"""What a project's files and store say: state, batches, measures, worth; and the report of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alspec.datasets.base import IGNORE
from alspec.errors import DataError
from alspec.labelling.batches import Batch, Role, Verdict
from alspec.labelling.measures import Measured, measured
from alspec.labelling.next_batch import check_size
from alspec.labelling.state import State, read_state
from alspec.labelling.trainings import labelled_now, read_trainings, untrained
from alspec.labelling.worth import Worth, worth
from alspec.spec.project import Project
from alspec.store.project_folder import ProjectFolder


@dataclass(frozen=True)
class BatchSummary:
    """A batch in numbers.

    Attributes:
        number: 1 for the first.
        method: what chose it.
        reasons: why.
        asked: images; of them `check` to measure on.
        check: see there.
        labelled: images.
        rejected: images.
        waiting: images.
        hours: of work; None if unknown.
        corrected: share of the proposals' pixels that people changed, by the class they gave; the
            whole under the empty name; of images with a proposal alone.
    """

    number: int
    method: str
    reasons: Sequence[str]
    asked: int
    check: int
    labelled: int
    rejected: int
    waiting: int
    hours: float | None
    corrected: Mapping[str, float]

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        corrected = {name or "all": round(share, 6) for name, share in self.corrected.items()}
        return {
            "batch": self.number,
            "method": self.method,
            "asked": self.asked,
            "check": self.check,
            "labelled": self.labelled,
            "rejected": self.rejected,
            "waiting": self.waiting,
            "hours": self.hours,
            "corrected": corrected,
        }


@dataclass(frozen=True)
class Summary:
    """A project at a moment.

    Attributes:
        project: its name.
        counts: images by state.
        batches: in their order.
        measured_on: images that models are measured on.
        worth: what more labels are expected to bring; None without a measured model.
        untrained: labelled images that no model was trained on as they are now: new ones, and
            those whose mask was revised since.
        hours_per_image: of labelled images whose hours are known; None where none is.
        agreement: mean pairwise mIoU of images that several people labelled, and how many.
        waiting: whether a batch waits for labels.
    """

    project: str
    counts: Mapping[str, int]
    batches: Sequence[BatchSummary]
    measured_on: int
    worth: Worth | None
    untrained: int
    hours_per_image: float | None
    agreement: tuple[float, int] | None
    waiting: bool

    def to_json(self) -> dict[str, object]:
        """As `status --json` prints it."""
        return {
            "project": self.project,
            "images": dict(self.counts),
            "waiting": self.waiting,
            "batches": [batch.to_json() for batch in self.batches],
            "measured_on": self.measured_on,
            "untrained": self.untrained,
            "miou": [
                {"labelled": n, "miou": _plain(y), "low": _plain(low), "high": _plain(high)}
                for n, y, low, high in (self.worth.points if self.worth else ())
            ],
            "advice": self.worth.advice.value if self.worth else None,
            "hours_per_image": self.hours_per_image,
        }


def _plain(value: float) -> float | None:
    return round(value, 4) if np.isfinite(value) else None


def summarise(project: Project, folder: ProjectFolder) -> Summary:
    """Look at a project; trains nothing and writes nothing."""
    state = read_state(project, folder)
    trainings = read_trainings(folder, project.classes)
    found = measured(folder, trainings)
    hours = [_hours(batch) for batch in state.batches]
    counted = [
        len([i for i in batch.ids() if i in state.labelled])
        for batch, own in zip(state.batches, hours, strict=True)
        if own is not None
    ]
    whole = sum(own for own in hours if own is not None)
    return Summary(
        project=project.project,
        counts=state.counts(),
        batches=[
            _batch(state, batch, own) for batch, own in zip(state.batches, hours, strict=True)
        ],
        measured_on=len(found.images),
        worth=worth_of(project, found),
        untrained=untrained(trainings, labelled_now(state).train),
        hours_per_image=whole / sum(counted) if sum(counted) else None,
        agreement=_agreement(state),
        waiting=state.open_batch is not None,
    )


def worth_of(project: Project, found: Measured) -> Worth | None:
    """What the measures say of more labels; None without any."""
    if not found.trainings or not found.images:
        return None
    labelled = [training.labelled for training in found.trainings]
    rng = np.random.default_rng(project.seed)
    added = project.batch - check_size(project, project.batch)
    return worth(labelled, found.confusions, added, rng)


def _batch(state: State, batch: Batch, hours: float | None) -> BatchSummary:
    ids = batch.ids()
    return BatchSummary(
        number=batch.number,
        method=str(batch.about.get("method", "")),
        reasons=[str(reason) for reason in batch.about.get("reasons", ())],
        asked=len(ids),
        check=len(batch.ids(Role.CHECK)),
        labelled=sum(image in state.labelled for image in ids),
        rejected=sum(image in state.rejected for image in ids),
        waiting=len(state.waiting(batch)),
        hours=hours,
        corrected=_corrected(batch),
    )


def _hours(batch: Batch) -> float | None:
    """As given by people, or as the tool measured."""
    given = [one.hours for one in batch.received if one.hours is not None]
    if given:
        return sum(given)
    seconds = [verdict["seconds"] for verdict in batch.verdicts().values() if "seconds" in verdict]
    return sum(seconds) / 3600 if seconds else None


def _corrected(batch: Batch) -> dict[str, float]:
    pixels: dict[str, list[int]] = {}
    for verdict in batch.verdicts().values():
        changed = verdict.get("changed")
        if verdict["verdict"] != Verdict.LABELLED.value or not changed:
            continue
        parts = {"": [changed["pixels"], changed["of"]], **changed["classes"]}
        for name, (own, whole) in parts.items():
            total = pixels.setdefault(name, [0, 0])
            total[0] += own
            total[1] += whole
    return {name: own / whole for name, (own, whole) in pixels.items() if whole}


def _agreement(state: State) -> tuple[float, int] | None:
    found = [
        float(np.mean([pair[2] for pair in verdict["agreement"]]))
        for batch in state.batches
        for verdict in batch.verdicts().values()
        if verdict.get("agreement")
    ]
    return (float(np.mean(found)), len(found)) if found else None


def class_pixels(state: State) -> NDArray[np.int64]:
    """Pixels of each class in all masks, (C,), ignored ones left out."""
    counts = np.zeros(IGNORE + 1, np.int64)
    for image in sorted(state.labelled):
        try:
            counts += np.bincount(state.dataset.read_mask(image).ravel(), minlength=IGNORE + 1)
        except DataError:
            continue  # `select` refuses it with the reason
    return counts[: len(state.dataset.classes)]
