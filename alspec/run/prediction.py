"""Has masks predicted for image files, in a process for each device slot.

`python -m alspec.run.prediction` is such a process: it reads a job as JSON on standard input (see
`steps.predict.predict`) and answers with a JSON line for each image.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import IO, TYPE_CHECKING

from alspec.errors import Problem, StepFailed
from alspec.store.store import Store
from alspec.system.interpreter import python_command, python_environment

if TYPE_CHECKING:
    from alspec.steps.predict import PredictionJob

Files = dict[str, str]
"""`image`, `mask` and perhaps `confidence`: paths."""

THREADS = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def predict_images(
    store: Store,
    train: str,
    images: Sequence[Files],
    *,
    size: Sequence[int] | None,
    bands: Sequence[int] | None,
    value_range: Sequence[float] | None,
    classes: int,
    devices: Sequence[str],
    progress: Callable[[int, int], None],
) -> list[Problem]:
    """Write a mask for each image file.

    Args:
        store: holds the training.
        train: its key.
        images: what is read and written.
        size: height, width of the model's images; None takes images as they are.
        bands: which of an image's are red, green and blue, as in training.
        value_range: of deep grey images, as in training.
        classes: how many.
        devices: one name a process.
        progress: called with images done and in all.

    Returns:
        What is wrong with images that could not be read.

    Raises:
        StepFailed: a process ended early; what was written is whole.
    """
    slots = list(devices)[: len(images)]
    root = str(store.root.absolute())
    answers: SimpleQueue[dict[str, str] | None] = SimpleQueue()
    processes = [
        _start(
            {
                "store": root,
                "train": train,
                "device": slot,
                "size": size,
                "bands": bands,
                "value_range": value_range,
                "classes": classes,
                "images": list(images[n :: len(slots)]),
            }
        )
        for n, slot in enumerate(slots)
    ]
    readers = [
        threading.Thread(target=_read, args=(each, answers), daemon=True) for each in processes
    ]
    try:
        for reader in readers:
            reader.start()
        problems, done = _collected(answers, len(readers), len(images), progress)
        codes = [each.process.wait() for each in processes]
        if any(codes) or done < len(images):
            raise StepFailed(_why(processes))
    finally:
        for each in processes:
            each.process.kill()
            each.process.wait()
            each.log.close()
    return problems


def _collected(
    answers: SimpleQueue[dict[str, str] | None],
    readers: int,
    images: int,
    progress: Callable[[int, int], None],
) -> tuple[list[Problem], int]:
    """What is wrong with images, and how many were answered for, when all readers have ended."""
    problems: list[Problem] = []
    done = 0
    while readers:
        answer = answers.get()
        if answer is None:
            readers -= 1
            continue
        done += 1
        if "what" in answer:
            problems.append(Problem(answer["where"], answer["what"]))
        progress(done, images)
    return problems, done


@dataclass
class _Process:
    """A process at work, and what it says beside its answers."""

    process: subprocess.Popen[str]
    log: IO[str]


def _start(job: PredictionJob) -> _Process:
    log = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
        python_command("alspec.run.prediction"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        encoding="utf-8",
        env={**THREADS, **python_environment()},
    )
    with suppress(BrokenPipeError):  # it has ended: `wait` says so
        if process.stdin:
            process.stdin.write(json.dumps(job))
            process.stdin.close()
    return _Process(process, log)


def _read(one: _Process, answers: SimpleQueue[dict[str, str] | None]) -> None:
    for line in one.process.stdout or ():
        with suppress(ValueError):
            answers.put(json.loads(line))
    answers.put(None)


def _why(processes: Sequence[_Process]) -> str:
    ended = next((each for each in processes if each.process.returncode), processes[0])
    ended.log.seek(0)
    last = " ".join(ended.log.read().strip().splitlines()[-1:])
    return f"a predicting process ended with code {ended.process.returncode}: {last}"


def main() -> None:
    """Answer on standard output, where nothing else may be printed."""
    from alspec.run.executors.worker import prepare
    from alspec.steps.predict import predict

    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    job = json.load(sys.stdin)
    prepare(job["device"], Store(Path(job["store"])))
    for found in predict(job):
        answer.write(json.dumps(found) + "\n")
        answer.flush()


if __name__ == "__main__":
    main()
