"""Takes what a delivery says of one batch: writes masks, and the record as the last thing."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from alspec.datasets.base import IGNORE, ImageId, Mask
from alspec.datasets.files.decoding import read_labels
from alspec.errors import DataError, InputError
from alspec.labelling.agreement import pairwise_miou
from alspec.labelling.annotation_choice import annotation_that_counts
from alspec.labelling.batches import Asked, Batch, Received, Record, Verdict, write_received
from alspec.labelling.delivery.base import Delivered, MaskValues, Refused
from alspec.labelling.mask_file import write_mask
from alspec.labelling.services import Services
from alspec.labelling.state import State
from alspec.system import failpoints
from alspec.system.atomic import sha256_of

_TAKEN = (Verdict.LABELLED.value, Verdict.REJECTED.value)
"""Verdicts that stand when the same delivery comes again; others depend on options and files."""


@dataclass(frozen=True)
class Options:
    """How a delivery is taken.

    Attributes:
        accept_unchanged: a mask that is the proposal, pixel for pixel, counts.
        hours: of work on the delivery, where the tool does not record them.
        annotator: whose annotations count, by name, or `latest`.
        mask_values: what pixels of a folder's masks are.
    """

    accept_unchanged: bool = False
    hours: float | None = None
    annotator: str | None = None
    mask_values: MaskValues = "any"

    def __post_init__(self) -> None:
        """Raises InputError for hours that are no number of hours."""
        if self.hours is not None and not 0 <= self.hours < math.inf:
            raise InputError.at("hours", f"is {self.hours}; give a finite number, 0 or more")


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
    """A delivery as one batch takes it: first the masks, then the record.

    Attributes:
        verdicts: on each image of the batch, once its masks are taken.
        wrote: whether a mask was written.
    """

    state: State
    batch: Batch
    options: Options
    digest: str
    by_name: Mapping[str, Sequence[Delivered]]
    refused: Mapping[str, str]
    services: Services
    verdicts: dict[ImageId, Record] = field(default_factory=dict)
    wrote: bool = False

    @cached_property
    def _before(self) -> Received | None:
        """What the same bytes have brought already."""
        return next((r for r in self.batch.received if r.sha256 == self.digest), None)

    def take(self, ingested: Ingested) -> None:
        """Write the masks."""
        for done, row in enumerate(self.batch.rows, start=1):
            self.verdicts[row.id] = self._verdict(row, ingested)
            self.services.progress("taking masks", done, len(self.batch.rows))
        ingested.batches.append(self.batch.number)
        ingested.verdicts |= self.spoken

    @property
    def spoken(self) -> dict[ImageId, Record]:
        """The verdicts on images that the delivery speaks of."""
        missing = Verdict.MISSING.value
        return {image: v for image, v in self.verdicts.items() if v["verdict"] != missing}

    @property
    def taken(self) -> int:
        """Images that the delivery has labelled or rejected."""
        return sum(record["verdict"] in _TAKEN for record in self.verdicts.values())

    def record(self, ingested: Ingested, hours: float | None) -> None:
        """Write the record, unless it is there and says the same.

        Args:
            ingested: the delivery.
            hours: this batch's part of those that the options give.
        """
        before = self._before
        if self.options.hours is None and before is not None:
            hours = before.hours
        same = before is not None and (self.verdicts, hours) == (before.images, before.hours)
        ingested.known &= same and not self.wrote
        if same:
            return
        now = datetime.now(timezone.utc).isoformat(timespec="microseconds")
        received = Received(
            sha256=self.digest,
            time=before.time if before else now,
            file=ingested.path.name,
            images=self.verdicts,
            refused=[one._asdict() for one in ingested.refused],
            hours=hours,
        )
        failpoints.at("ingest.record", self.batch.folder.received)
        write_received(self.batch, received)

    def _verdict(self, row: Asked, ingested: Ingested) -> Record:
        known = self._before.images.get(row.id) if self._before else None
        stands = known if known is not None and self._stands(row, known) else None
        given = self.by_name.get(row.stem, ())
        if stands is not None and not (given and self.options.annotator):
            return stands
        if not given:
            if row.stem in self.refused:
                return {"verdict": Verdict.REFUSED.value, "why": self.refused[row.stem]}
            return {"verdict": Verdict.MISSING.value}
        untouched = partial(self._is_proposal, row)
        chosen, why = annotation_that_counts(given, self.options.annotator, untouched)
        if stands is not None and chosen is None:
            ingested.refused.append(Refused(row.file, f"{why}; what was taken of it stays"))
            return stands
        if chosen is None:
            return {"verdict": Verdict.REFUSED.value, "why": why}
        if stands is not None and chosen.annotator == stands.get("annotator", ""):
            return stands
        record = {**_about(chosen), **_agreement(given, self.state)}
        if chosen.rejected:
            return {**self._rejected(row), **record}
        return {**self._labelled(row, chosen), **record}

    def _stands(self, row: Asked, known: Record) -> bool:
        """Whether a verdict on the same bytes stands, if they are read as it is said today."""
        if known["verdict"] == Verdict.LABELLED.value:
            waits = row.id not in self.state.labelled and row.id not in self.state.rejected
            same = self.options.mask_values in ("any", known.get("mask_values"))
            return same and not waits
        return known["verdict"] in _TAKEN

    def _is_proposal(self, row: Asked, mask: Mask) -> bool:
        proposal = self._proposal(row)
        return proposal is not None and np.array_equal(mask, proposal)

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
            self._write(row, mask)
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
        self._write(row, mask)
        return {"replaced": name}

    def _write(self, row: Asked, mask: Mask) -> None:
        write_mask(self.state.dataset, row.id, mask)
        self.wrote = True


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
