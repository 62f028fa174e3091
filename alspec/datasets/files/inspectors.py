"""Reads all images of a dataset with their masks: in processes of its own where there are many.

Processes use every core, and can hear what libjpeg says of a damaged file. They are asked for
several images at once, and reading them again here replaces what a process does not answer.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from alspec.datasets.base import Dataset, ImageId
from alspec.datasets.files.inspection import Inspection, Labelled, inspect
from alspec.datasets.files.inspection_processes import InspectionProcesses
from alspec.datasets.files.jpeg_decoder import SUFFIXES

if TYPE_CHECKING:
    from alspec.datasets.files.contents import ListedFile

_BATCH = 16
"""Images that a process is asked for at once."""

_FEW = 100
"""Up to so many images are read here, if none is a JPEG: a process takes half a second to start."""

_MOST_PROCESSES = 4
_THREADS = 4


def inspect_all(dataset: Dataset, images: Sequence[ImageId]) -> Generator[Inspection, None, None]:
    """Read images and masks, several at a time; what is found comes in the order of the images.

    Closing it ends the reading.

    Args:
        dataset: what reads them.
        images: ids of the dataset.
    """
    here = partial(inspect_here, dataset)
    if _worth_processes(dataset, images):
        batches = [images[at : at + _BATCH] for at in range(0, len(images), _BATCH)]
        count = min(_cores(), len(batches))
        with InspectionProcesses(dataset, count, partial(_paths, dataset), here) as processes:
            yield from chain.from_iterable(processes.inspect(batches))
        return
    readers = ThreadPoolExecutor(_THREADS, thread_name_prefix="check")
    try:
        yield from readers.map(here, images)
    finally:
        readers.shutdown(cancel_futures=True)


def _worth_processes(dataset: Dataset, images: Sequence[ImageId]) -> bool:
    if not images or not getattr(dataset, "reads_by_path", False):
        return False
    if len(images) > _FEW:
        return True
    return any(_files(dataset, image)[0].path.lower().endswith(SUFFIXES) for image in images)


def _cores() -> int:
    usable = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()
    return min(_MOST_PROCESSES, len(usable) or os.cpu_count() or 1)


def _files(dataset: Dataset, image: ImageId) -> tuple[ListedFile, ...]:
    files_of = getattr(dataset, "files_of", None)
    files: tuple[ListedFile, ...] = files_of(image) if files_of else ()
    return files


def _paths(dataset: Dataset, image: ImageId) -> list[str]:
    return [file.path for file in _files(dataset, image)]


def inspect_here(dataset: Dataset, image: ImageId) -> Inspection:
    """Read an image and its mask in this process, which hears nothing of lost data."""
    files = _files(dataset, image)
    place = getattr(dataset, "mask_place", None)
    labelled = Labelled(
        name=str(image),
        read_image=partial(dataset.read_image, image),
        read_mask=partial(dataset.read_mask, image),
        mask_place=place(image) if place else str(image),
        files=(files[0].path, files[1].path) if files else None,
    )
    return inspect(labelled)
