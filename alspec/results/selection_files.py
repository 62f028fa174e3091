"""The files that say what each run chose: labelled sets, and what each cycle added to them."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

from alspec.plan.dag import Plan
from alspec.plan.kinds.acquire import LABELLED, SCORES
from alspec.results.table import finished_sets
from alspec.store.store import Store
from alspec.store.study_folder import StudyFolder
from alspec.system.atomic import csv_text, write_text
from alspec.system.printable import table_cell

PICKS = ("rank", "id", "score")
"""The columns of picks_<k>.csv; the score is empty where the method gives none."""


def write_selections(plan: Plan, folder: StudyFolder) -> None:
    """Write the finished selections of a study, and move those that are none of its away.

    Raises:
        StoreError: an artifact is corrupt.
    """
    store = folder.store
    written: set[Path] = set()
    for run in plan.runs:
        sizes = {labelled.cycle: labelled.labelled_images for labelled in run.sets}
        for labelled in finished_sets(run, store):
            if labelled.acquire is None or not store.is_done(labelled.acquire):
                continue
            ids = store.read_lines(labelled.acquire, LABELLED)
            added = ids[sizes.get(labelled.cycle - 1, 0) :]
            files = {
                folder.selection(run.name, labelled.cycle): "".join(f"{i}\n" for i in ids),
                folder.picks(run.name, labelled.cycle): csv_text(
                    PICKS, list(_picks(labelled.acquire, added, store))
                ),
            }
            for path, text in files.items():
                _write_changed(path, text)
            written.update(files)
    folder.set_aside_stale(written)


def _picks(key: str, added: list[str], store: Store) -> Iterator[tuple[str, str, str]]:
    """Rank, id and score of what a step added, best first."""
    scores: Mapping[str, str] = {}
    if SCORES in store.artifacts(key):
        with store.file(key, SCORES).open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file)
            next(rows, None)
            scores = dict(islice(rows, len(added)))  # highest first: those that were chosen
    for rank, image in enumerate(added, 1):
        yield str(rank), table_cell(image), scores.get(image, "")


def _write_changed(path: Path, text: str) -> None:
    """Write a file unless it says this already."""
    if not (path.is_file() and path.read_bytes() == text.encode()):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text, synced=False)
