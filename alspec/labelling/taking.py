"""Takes what a delivery says of one batch: writes masks, and the record as the last thing."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from alspec.datasets.base import IGNORE, ImageId, Mask
from alspec.datasets.files.decoding import read_labels
from alspec.errors import DataError
from alspec.labelling.agreement import pairwise_miou
from alspec.labelling.batches import Asked, Batch, Received, Record, Verdict, write_received
from alspec.labelling.delivery.base import Delivered, MaskValues, Refused
from alspec.labelling.mask_file import write_mask
from alspec.labelling.services import Services
from alspec.labelling.state import State
from alspec.system import failpoints
from alspec.system.atomic import sha256_of

LATEST = "latest"
"""As `--annotator`: of several annotations of an image the one that was changed last."""

_AGAIN = (Verdict.UNCHANGED.value, Verdict.REFUSED.value)
"""Verdicts that the same delivery may change when it comes with other options."""


@dataclass(frozen=True)
class Options:
    """How a delivery is taken.

    Attributes:
        accept_unchanged: a mask that is the proposal, pixel for pixel, counts.
        hours: of work, where the tool does not record them.
        annotator: whose annotations count, by name, or `latest`.
        mask_values: what pixels of a folder's masks are.
    """

    accept_unchanged: bool = False
    hours: float | None = None
    annotator: str | None = None
    mask_values: MaskValues = "any"


@dataclass
class Ingested:
    """What came of a delivery.

    Attributes:
        path: the delivery.
        batches: numbers of the batches it spoke of.
        verdicts: of each image that it spoke of.
        refused: what was not taken, and why.
        known: nothing in it was new.
    """

    path: Path
    batches: list[int] = field(default_factory=list)
    verdicts: dict[ImageId, Record] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)
    known: bool = True

    def count(self, verdict: Verdict) -> int:
        """Images of a verdict."""
        return sum(record["verdict"] == verdict.value for record in self.verdicts.values())


@dataclass
class Taking:
    """A delivery as one batch takes it."""

    state: State
    batch: Batch
    options: Options
    digest: str
    by_name: Mapping[str, Sequence[Delivered]]
    refused: Mapping[str, str]
    services: Services

    def take(self, ingested: Ingested) -> None:
        """Write masks and the record; a record that is there already is added to alone."""
        before = next((r for r in self.batch.received if r.sha256 == self.digest), None)
        verdicts: dict[ImageId, Record] = {}
        for done, row in enumerate(self.batch.rows, start=1):
            verdicts[row.id] = self._verdict(row, before)
            self.services.progress("taking masks", done, len(self.batch.rows))
        ingested.batches.append(self.batch.number)
        spoken = {i: record for i, record in verdicts.items() if record["verdict"] != "missing"}
        ingested.verdicts |= spoken
        if before is not None and verdicts == before.images:
            return
        ingested.known = False
        now = datetime.now(timezone.utc).isoformat(timespec="microseconds")
        received = Received(
            sha256=self.digest,
            time=before.time if before else now,
            file=ingested.path.name,
            images=verdicts,
            refused=[one._asdict() for one in ingested.refused],
            hours=self.options.hours if self.options.hours is not None or not before
            else before.hours,
        )  # fmt: skip
        failpoints.at("ingest.record", self.batch.folder.received)
        write_received(self.batch, received)

    def _verdict(self, row: Asked, before: Received | None) -> Record:
        known = before.images.get(row.id) if before else None
        if known is not None and self._is_settled(known):
            return known
        given = self.by_name.get(row.stem, ())
        if not given:
            if row.stem in self.refused:
                return {"verdict": Verdict.REFUSED.value, "why": self.refused[row.stem]}
            return {"verdict": Verdict.MISSING.value}
        chosen, why = self._of_one(given)
        if chosen is None:
            return {"verdict": Verdict.REFUSED.value, "why": why}
        record = {**_about(chosen), **_agreement(given, self.state)}
        if chosen.rejected:
            return {**self._rejected(row), **record}
        return {**self._labelled(row, chosen), **record}

    def _is_settled(self, known: Record) -> bool:
        """Whether the options of today change nothing in a verdict on the same bytes."""
        if known["verdict"] == Verdict.LABELLED.value:
            return self.options.mask_values in ("any", known.get("mask_values"))
        return known["verdict"] not in _AGAIN

    def _of_one(self, given: Sequence[Delivered]) -> tuple[Delivered | None, str]:
        """The annotation that counts; None, with the reason, where it is undecided."""
        wanted = self.options.annotator
        if wanted and wanted != LATEST:
            given = [one for one in given if one.annotator == wanted]
            if not given:
                return None, f"there is no annotation of {wanted}"
        people = sorted({one.annotator for one in given})
        if len(people) > 1 and wanted != LATEST:
            names = ", ".join(people)
            return None, f"several people annotated it ({names}): say --annotator NAME or latest"
        return max(given, key=lambda one: one.when), ""

    def _rejected(self, row: Asked) -> dict[str, object]:
        if row.id in self.state.labelled:
            why = "it has a mask already; remove that to reject the image"
            return {"verdict": Verdict.REFUSED.value, "why": why}
        return {"verdict": Verdict.REJECTED.value, "why": "marked in the tool"}

    def _labelled(self, row: Asked, chosen: Delivered) -> dict[str, object]:
        mask = chosen.mask
        if mask is None:
            return {"verdict": Verdict.MISSING.value}
        changed = _changed(mask, self._proposal(row), self.state)
        unproved = not (chosen.submitted or self.options.accept_unchanged)
        if changed is not None and changed["pixels"] == 0 and unproved:
            why = "it is the proposal, pixel for pixel; --accept-unchanged takes it"
            return {"verdict": Verdict.UNCHANGED.value, "why": why}
        record: dict[str, object] = {"verdict": Verdict.LABELLED.value, "changed": changed}
        if self.options.mask_values != "any":
            record["mask_values"] = self.options.mask_values
        try:
            if row.id in self.state.labelled:
                return {**record, **self._revise(row, mask)}
            write_mask(self.state.dataset, row.id, mask)
        except ValueError as err:
            return {"verdict": Verdict.REFUSED.value, "why": str(err)}
        return record

    def _proposal(self, row: Asked) -> Mask | None:
        path = self.batch.folder.proposed / f"{row.stem}.png"
        return read_labels(path).astype(np.uint8) if path.is_file() else None

    def _revise(self, row: Asked, mask: Mask) -> dict[str, object]:
        """Replace a mask that differs; the old one moves to the batch's folder."""
        dataset, path = self.state.dataset, self.state.dataset.mask_file(row.id)
        try:
            if np.array_equal(dataset.read_mask_file(path), mask):
                return {}
        except DataError:
            pass  # whatever it is, a copy stays
        name = f"{row.stem}-{sha256_of(path)[:12]}{path.suffix}"
        self.batch.folder.replaced.mkdir(exist_ok=True)
        old = self.batch.folder.replaced / name
        shutil.copyfile(path, old.with_name(f".{name}"))
        old.with_name(f".{name}").replace(old)
        write_mask(dataset, row.id, mask)
        return {"replaced": name}


def _about(chosen: Delivered) -> dict[str, object]:
    about = {
        "annotator": chosen.annotator,
        "seconds": chosen.seconds,
        "contested": round(chosen.contested, 6) or None,
    }
    return {name: value for name, value in about.items() if value not in (None, "")}


def _changed(mask: Mask, proposal: Mask | None, state: State) -> Record | None:
    """Pixels that a person changed of a proposal, in all and by the class they were given."""
    if proposal is None or proposal.shape != mask.shape:
        return None
    counted = mask != IGNORE
    differ = (mask != proposal) & counted
    names = state.dataset.classes
    of_class = {
        names[number]: [int(differ[mask == number].sum()), int((mask == number).sum())]
        for number in np.unique(mask[counted])
    }
    whole = int((mask != proposal).sum())
    return {"pixels": whole, "of": int(mask.size), "classes": of_class}


def _agreement(given: Sequence[Delivered], state: State) -> dict[str, object]:
    """Pairwise mIoU of several people's masks of one image."""
    latest: dict[str, Delivered] = {}
    for one in sorted(given, key=lambda one: one.when):
        if one.mask is not None:
            latest[one.annotator] = one
    pairs = pairwise_miou({name: one.mask for name, one in latest.items()}, state.dataset.classes)
    return {"agreement": pairs} if pairs else {}
