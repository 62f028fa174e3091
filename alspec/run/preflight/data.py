"""Reads every file of a study once, before the first step: bad data never reach training."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence

from alspec.datasets.base import Dataset, Split
from alspec.datasets.open import open_dataset
from alspec.errors import DataError, Problem
from alspec.spec.model import AllFrames, DatasetSpec
from alspec.store.store import Store

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
        Images read for each dataset; 0 for a tree read before.

    Raises:
        DataError: all problems of all datasets.
    """
    problems: list[Problem] = []
    images: dict[str, int] = {}
    read: dict[str, str] = {}
    for spec in specs:
        # Several pools of one tree, augmented ones included, are one tree to read.
        dataset = open_dataset(spec.model_copy(update={"redundancy": AllFrames()}))
        identity = _identity(dataset)
        images[spec.name] = 0
        if identity in read or (store and store.is_checked(identity)):
            continue
        found, images[spec.name] = _read_all(dataset, progress)
        problems += found
        read[identity] = spec.name
    if problems:
        raise DataError(problems)
    if store:
        for identity, name in read.items():
            store.note_checked(identity, {"dataset": name, "images": images[name]})
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
