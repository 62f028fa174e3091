"""Reads all images of a dataset with their masks: in processes of its own where there are many.

Processes use every core, and can hear what libjpeg says of a damaged file. They are asked for
several images at once, and reading them again here replaces what a process does not answer.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from importlib import import_module
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TypedDict, cast

import numpy as np

from alspec.datasets.base import IGNORE, Dataset, ImageId
from alspec.datasets.files.decoding import MAX_PIXELS
from alspec.datasets.files.inspection import THUMBNAIL, Inspection, Labelled, inspect
from alspec.datasets.files.jpeg_decoder import SUFFIXES, JpegDecoder
from alspec.errors import Problem
from alspec.system.interpreter import python_code_command, python_environment

if TYPE_CHECKING:
    from alspec.datasets.files.contents import ListedFile
    from alspec.datasets.files.paired import PairedFiles

_BATCH = 16
"""Images that a process is asked for at once."""

_FEW = 100
"""Up to so many images are read here, if none is a JPEG: a process takes half a second to start."""

_MOST_PROCESSES = 4
_THREADS = 4
_READY = b"ready\n"

_CHILD = "from alspec.datasets.files.inspectors import serve; serve()"

_REUSE_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(1 << 30), "MALLOC_TRIM_THRESHOLD_": str(1 << 30)}
"""Has glibc use memory again for the next image, rather than ask the system for it each time."""


class _ProblemData(TypedDict):
    where: str
    what: str
    excerpt: str
    loc: Sequence[str | int]
    against: Sequence[Sequence[str | int]]
    waits_for_labels: bool


class _Found(TypedDict):
    """An `Inspection` as plain data: bytes in hexadecimal, and of pixels the counts above 0."""

    size: tuple[int, int] | None
    pixels: Mapping[str, int] | None
    thumbnail: str | None
    problems: Sequence[_ProblemData]
    digests: tuple[str, str] | None


def inspect_all(dataset: Dataset, images: Sequence[ImageId]) -> Generator[Inspection, None, None]:
    """Read images and masks, several at a time; what is found comes in the order of the images.

    Closing it ends the reading.

    Args:
        dataset: what reads them.
        images: ids of the dataset.
    """
    if _worth_processes(dataset, images):
        batches = [images[at : at + _BATCH] for at in range(0, len(images), _BATCH)]
        with _Processes(dataset, min(_cores(), len(batches))) as processes:
            yield from chain.from_iterable(processes.inspect(batches))
        return
    readers = ThreadPoolExecutor(_THREADS, thread_name_prefix="check")
    try:
        yield from readers.map(partial(_inspect_here, dataset), images)
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


def _inspect_here(dataset: Dataset, image: ImageId) -> Inspection:
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


class _Processes:
    """Processes that inspect, started when they are first asked.

    Args:
        dataset: reads an image by the paths of its files.
        count: of processes.
    """

    def __init__(self, dataset: Dataset, count: int) -> None:
        self._dataset = dataset
        self._idle: queue.SimpleQueue[subprocess.Popen[bytes] | None] = queue.SimpleQueue()
        for _ in range(count):
            self._idle.put(None)
        self._started: list[subprocess.Popen[bytes]] = []
        self._askers = ThreadPoolExecutor(count, thread_name_prefix="check")
        self._closing = self._hopeless = False

    def __enter__(self) -> _Processes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, at: TracebackType | None
    ) -> None:
        self._closing = True
        for process in self._started:
            process.kill()
        self._askers.shutdown(cancel_futures=True)
        for process in self._started:
            process.kill()  # one that was just being started
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe:
                    with suppress(OSError):
                        pipe.close()

    def inspect(self, batches: Sequence[Sequence[ImageId]]) -> Iterator[list[Inspection]]:
        """What is found of each batch, in their order."""
        return self._askers.map(self._batch, batches)

    def _batch(self, images: Sequence[ImageId]) -> list[Inspection]:
        found = self._asked(images)
        if found is not None:
            return found
        if len(images) == 1 or self._hopeless or self._closing:
            return [] if self._closing else [_inspect_here(self._dataset, one) for one in images]
        # One of them ended the process; the others are still to be heard of.
        return [found for image in images for found in self._batch([image])]

    def _asked(self, images: Sequence[ImageId]) -> list[Inspection] | None:
        """What a process answers; None where none can be started, or it ended."""
        if self._hopeless or self._closing:
            return None
        process = self._idle.get()
        try:
            process = process or self._start()
            asked = [
                [image, *(file.path for file in _files(self._dataset, image))] for image in images
            ]
            return [_inspection(one) for one in json.loads(_ask(process, asked))]
        except (OSError, ValueError):
            process = None
            return None
        finally:
            self._idle.put(process)

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {**python_environment(), **_REUSE_MEMORY}
        environment["OPENCV_IO_MAX_IMAGE_PIXELS"] = str(MAX_PIXELS)
        try:
            process = subprocess.Popen(  # noqa: S603 - this Python, on the code below
                python_code_command(_CHILD),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
            )
            self._started.append(process)
            kind = type(self._dataset)
            made = [kind.__module__, kind.__qualname__, self._dataset.spec.model_dump(mode="json")]
            if _ask(process, made) != _READY:
                raise OSError("the process that reads images did not start")
        except (OSError, TypeError, ValueError) as err:
            self._hopeless = True
            raise OSError(str(err)) from err
        return process


def _ask(process: subprocess.Popen[bytes], what: object) -> bytes:
    """A line with an answer. Raises OSError if the process ended."""
    assert process.stdin is not None  # noqa: S101 - both are pipes
    assert process.stdout is not None  # noqa: S101
    process.stdin.write(json.dumps(what).encode() + b"\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    if not answer.endswith(b"\n"):
        raise OSError("the process that reads images ended")
    return answer


def serve() -> None:
    """Inspect the images named on standard input, a batch a line; answer each with a line.

    The first line is the class of a dataset and its spec, from the process that started this one,
    which also ends it: Ctrl-C, which a terminal sends to both, is for that one alone.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answer = os.fdopen(os.dup(1), "wb", buffering=0)
    jpegs = JpegDecoder(THUMBNAIL)
    os.dup2(2, 1)
    module, name, spec = json.loads(sys.stdin.buffer.readline())
    kind: type[Dataset] = getattr(import_module(module), name)
    dataset = cast("PairedFiles", kind(kind.Spec.model_validate(spec)))
    answer.write(_READY)
    for line in sys.stdin.buffer:
        found = [_as_data(_inspect_by_path(dataset, jpegs, *one)) for one in json.loads(line)]
        _write(answer.fileno(), json.dumps(found).encode() + b"\n")


def _write(to: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(to, rest) :]


def _inspect_by_path(
    dataset: PairedFiles, jpegs: JpegDecoder, name: str, image: str, mask: str
) -> Inspection:
    labelled = Labelled(
        name=name,
        read_image=partial(dataset.read_image_file, Path(image)),
        read_mask=partial(dataset.read_mask_file, Path(mask)),
        mask_place=mask,
        files=(image, mask),
        as_is=dataset.reads_as_is,
    )
    return inspect(labelled, jpegs.decode)


def _as_data(found: Inspection) -> _Found:
    pixels = None
    if found.pixels is not None:
        (values,) = found.pixels.nonzero()
        pixels = {str(value): int(found.pixels[value]) for value in values}
    return {
        "size": found.size,
        "pixels": pixels,
        "thumbnail": None if found.thumbnail is None else found.thumbnail.tobytes().hex(),
        "problems": [
            {
                "where": problem.where,
                "what": problem.what,
                "excerpt": problem.excerpt,
                "loc": problem.loc,
                "against": problem.against,
                "waits_for_labels": problem.waits_for_labels,
            }
            for problem in found.problems
        ],
        "digests": found.digests and (found.digests[0].hex(), found.digests[1].hex()),
    }


def _inspection(data: _Found) -> Inspection:
    pixels, thumbnail = None, None
    if data["pixels"] is not None:
        pixels = np.zeros(IGNORE + 1, np.int64)
        pixels[[int(value) for value in data["pixels"]]] = list(data["pixels"].values())
    if data["thumbnail"] is not None:
        small = np.frombuffer(bytes.fromhex(data["thumbnail"]), np.uint8)
        thumbnail = small.reshape(*THUMBNAIL, 3)
    return Inspection(
        size=data["size"] and (data["size"][0], data["size"][1]),
        pixels=pixels,
        thumbnail=thumbnail,
        problems=tuple(map(_problem, data["problems"])),
        digests=data["digests"]
        and (bytes.fromhex(data["digests"][0]), bytes.fromhex(data["digests"][1])),
    )


def _problem(data: _ProblemData) -> Problem:
    return Problem(
        where=data["where"],
        what=data["what"],
        excerpt=data["excerpt"],
        loc=tuple(data["loc"]),
        against=tuple(map(tuple, data["against"])),
        waits_for_labels=data["waits_for_labels"],
    )
