"""Takes a delivery: what is labelled goes into the masks folder, the rest is refused."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from alspec.datasets.base import IGNORE
from alspec.datasets.files.decoding import size_of
from alspec.datasets.files.listing import capped
from alspec.errors import DataError, InputError, Problem, grouped
from alspec.labelling.delivery.base import Awaited, Delivered, Expectation, Refused
from alspec.labelling.delivery.read import read_delivery
from alspec.labelling.mask_file import own_codes
from alspec.labelling.services import Services
from alspec.labelling.state import State, read_state
from alspec.labelling.taking import Ingested, Options, Taking
from alspec.spec.project import IGNORED, Project
from alspec.store.project_folder import ProjectFolder
from alspec.system.atomic import sha256_of

_NAME = re.compile(r"b[0-9]{2,}-[0-9]{4,}-[A-Za-z0-9_-]+")


def ingest(
    project: Project,
    folder: ProjectFolder,
    path: Path,
    options: Options,
    services: Services,
) -> Ingested:
    """Take a delivery; the same bytes a second time change nothing.

    Each mask is written whole; the record of the delivery comes last, so that one that was
    interrupted is simply given again.

    Args:
        project: the spec.
        folder: the project's, with its batches.
        path: a zip, a folder or a file.
        options: how it is taken.
        services: hear how far it is.

    Raises:
        InputError: nothing was asked for yet, or the delivery cannot be read at all, or all of it
            is refused.
    """
    state = read_state(project, folder)
    if not state.batches:
        what = "no batch was handed out yet. `alspec select` makes one"
        raise InputError.at(project.project, what)
    delivery = read_delivery(path, _expectation(project, state, options))
    ingested = Ingested(path, refused=delivery.refused)
    by_name: dict[str, list[Delivered]] = {}
    for one in delivery.images:
        by_name.setdefault(one.name, []).append(one)
    refused = _refused_by_name(delivery.refused)
    digest = digest_of(path)
    takings = [
        Taking(state, batch, options, digest, by_name, refused, services)
        for batch in state.batches
        if any(row.stem in by_name or row.stem in refused for row in batch.rows)
    ]
    for taking in takings:
        taking.take(ingested)
    for taking, hours in zip(takings, _shared(options.hours, takings), strict=True):
        taking.record(ingested, hours)
    if not by_name:
        raise InputError(_nothing_taken(path, delivery.refused))
    return ingested


def _shared(hours: float | None, takings: Sequence[Taking]) -> list[float | None]:
    """A delivery's hours by batch: by images taken, or by those it has where none was taken."""
    taken = [taking.taken for taking in takings]
    counts = taken if any(taken) else [len(taking.spoken) for taking in takings]
    if hours is None or not any(counts):
        return [None] * len(takings)
    return [hours * count / sum(counts) if count else None for count in counts]


def _nothing_taken(path: Path, refused: Sequence[Refused]) -> list[Problem]:
    if not refused:
        return [Problem(str(path), "it holds no mask of a batch. Export again with annotations")]
    problems = grouped([Problem(f"{path}: {one.file}", one.why) for one in refused])
    return capped(path, problems)


def _refused_by_name(refused: Iterable[Refused]) -> dict[str, str]:
    """Reason by flat name, of what was refused of an image that was handed over."""
    found = ((_NAME.search(one.file), one.why) for one in refused)
    return {match[0]: why for match, why in found if match}


def digest_of(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of a folder's files."""
    if path.is_file():
        return sha256_of(path)
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        if file.is_file() and not file.is_symlink():
            digest.update(f"{file.relative_to(path).as_posix()}\0{sha256_of(file)}\n".encode())
    return digest.hexdigest()


def _expectation(project: Project, state: State, options: Options) -> Expectation:
    there = {frame.id for frame in state.frames}
    images = {
        row.stem: Awaited(row.id, _size_or_why(state.dataset.image_file(row.id)))
        for batch in state.batches
        for row in batch.rows
        if row.id in there
    }
    unlabelled = IGNORE
    if project.unlabelled != IGNORED:
        unlabelled = project.classes.index(project.unlabelled)
    own = own_codes(state.dataset.spec)
    return Expectation(
        images, project.classes, unlabelled, own.values, own.colours, options.mask_values
    )


def _size_or_why(image: Path) -> tuple[int, int] | str:
    try:
        return size_of(image)
    except DataError as err:
        return f"its image cannot be read: {err}"
