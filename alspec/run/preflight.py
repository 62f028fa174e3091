"""Reads every file of a study once, before the first step: bad data never reach training."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence

from alspec.datasets.base import Dataset, Split, open_dataset
from alspec.errors import DataError, Problem
from alspec.spec.model import DatasetSpec
from alspec.store import Store, write_json

Progress = Callable[[str, int], None]
"""Called with a dataset's name and the images read so far."""

MOST = 50
"""Problems shown of one dataset; more are counted."""


def check_data(
    specs: Sequence[DatasetSpec], progress: Progress, store: Store | None = None
) -> dict[str, int]:
    """Read every image and mask.

    Args:
        specs: the datasets, with roots that exist.
        progress: called after every image.
        store: remembers trees that were found good, by fingerprint, so that they are read once;
            None reads them again.

    Returns:
        Images read for each dataset; 0 for one known to be good.

    Raises:
        DataError: all problems of all datasets.
    """
    problems: list[Problem] = []
    images: dict[str, int] = {}
    good = []
    for spec in specs:
        dataset = open_dataset(spec)
        mark = store.root / "checked" / f"{_identity(dataset)}.json" if store else None
        if mark is not None and mark.is_file():
            images[spec.name] = 0
            continue
        found, images[spec.name] = _read_all(dataset, progress)
        problems += found
        if mark is not None:
            good.append((mark, spec.name))
    if problems:
        raise DataError(problems)
    for mark, name in good:
        mark.parent.mkdir(parents=True, exist_ok=True)
        write_json(mark, {"dataset": name, "images": images[name]})
    return images


def _read_all(dataset: Dataset, progress: Progress) -> tuple[list[Problem], int]:
    found: list[Problem] = []
    images = 0
    for images, problems in enumerate(dataset.check(), start=1):
        found += problems
        progress(dataset.spec.name, images)
    if len(found) > MOST:
        more = f"{len(found) - MOST} more problems; the first {MOST} are shown"
        found = [*found[:MOST], Problem(dataset.spec.name, more)]
    return found, images


def _identity(dataset: Dataset) -> str:
    kept = dataset.spec.model_dump(
        mode="json", exclude={"name", "root", "redundancy", "budgets", "image_size"}
    )
    prints = [dataset.fingerprint(split) for split in Split]
    return hashlib.sha256(json.dumps([kept, prints], sort_keys=True).encode()).hexdigest()
