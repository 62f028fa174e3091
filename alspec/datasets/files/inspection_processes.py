"""Processes that inspect images: started when they are needed, asked for several at once, ended."""

from __future__ import annotations

import json
import queue
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType

from alspec.datasets.base import Dataset, ImageId
from alspec.datasets.files.decoding import MAX_PIXELS
from alspec.datasets.files.inspection import Inspection
from alspec.datasets.files.inspection_record import decode_line
from alspec.datasets.files.inspection_worker import READY
from alspec.system.interpreter import python_code_command, python_environment

_CHILD = "from alspec.datasets.files.inspection_worker import serve; serve()"

_REUSE_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(1 << 30), "MALLOC_TRIM_THRESHOLD_": str(1 << 30)}
"""Has glibc use memory again for the next image, rather than ask the system for it each time."""


class InspectionProcesses:
    """Processes that inspect, started when they are first asked.

    Args:
        dataset: reads an image by the paths of its files.
        count: of processes.
        paths: of an image and its mask.
        here: inspects an image in this process, where no other one does.
    """

    def __init__(
        self,
        dataset: Dataset,
        count: int,
        paths: Callable[[ImageId], Sequence[str]],
        here: Callable[[ImageId], Inspection],
    ) -> None:
        self._dataset = dataset
        self._paths = paths
        self._here = here
        self._idle: queue.SimpleQueue[subprocess.Popen[bytes] | None] = queue.SimpleQueue()
        for _ in range(count):
            self._idle.put(None)
        self._started: list[subprocess.Popen[bytes]] = []
        self._askers = ThreadPoolExecutor(count, thread_name_prefix="check")
        self._closing = self._hopeless = False

    def __enter__(self) -> InspectionProcesses:
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
            return [] if self._closing else [self._here(one) for one in images]
        # One of them ended the process; the others are still to be heard of.
        return [found for image in images for found in self._batch([image])]

    def _asked(self, images: Sequence[ImageId]) -> list[Inspection] | None:
        """What a process answers; None where none can be started, or it ended."""
        if self._hopeless or self._closing:
            return None
        process = self._idle.get()
        try:
            process = process or self._start()
            asked = [[image, *self._paths(image)] for image in images]
            return decode_line(_ask(process, asked))
        except (OSError, ValueError, TypeError):
            if process:
                process.kill()  # one that answers something else would stay
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
            if _ask(process, made) != READY:
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
