"""A batch: images that were asked for together, how they were chosen, and what came back."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, TypeAlias

from alspec.datasets.base import ImageId
from alspec.errors import StoreError
from alspec.store.drafts import new_draft
from alspec.store.project_folder import BatchFolder, ProjectFolder
from alspec.system import failpoints
from alspec.system.atomic import sync, write_csv, write_json

Record: TypeAlias = Mapping[str, Any]
"""What `batch.json` says of a batch, or a delivery of an image: JSON as this package writes it."""

COLUMNS = ("rank", "id", "file", "why", "score", "role")


class Role(str, Enum):
    """What an image is asked for."""

    TRAIN = "train"
    CHECK = "check"


class Verdict(str, Enum):
    """What came of an image in a delivery."""

    LABELLED = "labelled"
    REJECTED = "rejected"
    MISSING = "missing"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Asked:
    """A row of `batch.csv`.

    Attributes:
        rank: from 1, best first.
        id: the image.
        file: its flat name in hand-overs.
        why: how it came into the batch, in words.
        score: the method's, where it has one.
        role: to train on, or to measure.
    """

    rank: int
    id: ImageId
    file: str
    why: str
    score: str
    role: Role

    @property
    def stem(self) -> str:
        """The flat name without extension."""
        return self.file.rpartition(".")[0]


@dataclass(frozen=True)
class Received:
    """What one delivery has for a batch.

    Attributes:
        sha256: of the delivery.
        time: when it was ingested, as ISO 8601 in UTC.
        file: its name.
        images: verdict and details of each image of the batch, by id.
        refused: what of the delivery was not taken, and why.
        hours: of work; None if unknown.
    """

    sha256: str
    time: str
    file: str
    images: Mapping[ImageId, Record]
    refused: Sequence[Mapping[str, str]] = ()
    hours: float | None = None


@dataclass(frozen=True)
class Batch:
    """A batch as its files say.

    Attributes:
        folder: where they are.
        rows: best first.
        about: `batch.json`.
        received: deliveries in the order in which they were ingested.
    """

    folder: BatchFolder
    rows: Sequence[Asked]
    about: Record
    received: Sequence[Received] = field(default_factory=tuple)

    @property
    def number(self) -> int:
        """1 for the first."""
        return self.folder.number

    def ids(self, role: Role | None = None) -> list[ImageId]:
        """The images, or those of a role, best first."""
        return [row.id for row in self.rows if role in (None, row.role)]

    def verdicts(self) -> dict[ImageId, Record]:
        """The latest verdict on each image; `missing` is none."""
        found: dict[ImageId, Record] = {}
        for delivery in self.received:
            records = delivery.images.items()
            found |= {image: v for image, v in records if v["verdict"] != Verdict.MISSING.value}
        return found


def read_batches(folder: ProjectFolder) -> list[Batch]:
    """All batches of a project.

    Raises:
        StoreError: a file of a batch is corrupt.
    """
    return [_read(batch) for batch in folder.existing_batches()]


def _read(folder: BatchFolder) -> Batch:
    try:
        with folder.table.open(encoding="utf-8", newline="") as file:
            rows = [_row(row) for row in csv.DictReader(file)]
        about = json.loads(folder.about.read_text("utf-8"))
        received = [_delivery(path) for path in sorted(folder.received.glob("*.json"))]
    except (OSError, ValueError, LookupError, TypeError) as err:
        what = f"{folder.root}: not readable as a batch ({err}). Restore it from a backup"
        raise StoreError(what) from err
    return Batch(folder, rows, about, sorted(received, key=lambda one: (one.time, one.sha256)))


def _row(row: Mapping[str, str]) -> Asked:
    return Asked(
        rank=int(row["rank"]),
        id=ImageId(row["id"]),
        file=row["file"],
        why=row["why"],
        score=row["score"],
        role=Role(row["role"]),
    )


def _delivery(path: Path) -> Received:
    data = json.loads(path.read_text("utf-8"))
    return Received(
        sha256=path.stem,
        time=data["time"],
        file=data["file"],
        images=data["images"],
        refused=data["refused"],
        hours=data["hours"],
    )


def write_batch(
    folder: ProjectFolder, number: int, rows: Sequence[Asked], about: Record
) -> BatchFolder:
    """Write a new batch, whole or not at all.

    Raises:
        FileExistsError: another process has written a batch of this number meanwhile.
    """
    final = folder.batch(number)
    draft = new_draft(folder.batches, f".{number:02d}")
    try:
        made = BatchFolder(draft)
        cells = [(r.rank, r.id, r.file, r.why, r.score, r.role.value) for r in rows]
        write_csv(made.table, COLUMNS, cells)
        write_json(made.about, dict(about))
        sync(draft)
        failpoints.at("batch.rename", final.root)
        try:
            draft.rename(final.root)
        except OSError as err:
            if final.root.exists():
                raise FileExistsError(str(final.root)) from err
            raise
        sync(folder.batches)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return final


def write_received(batch: Batch, received: Received) -> None:
    """Record what came of a delivery, as the last step of its ingestion."""
    batch.folder.received.mkdir(exist_ok=True)
    write_json(
        batch.folder.received / f"{received.sha256}.json",
        {
            "time": received.time,
            "file": received.file,
            "images": {image: dict(record) for image, record in received.images.items()},
            "refused": [dict(one) for one in received.refused],
            "hours": received.hours,
        },
    )
