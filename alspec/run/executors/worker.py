"""A warm worker: loads torch and MMSegmentation once, then takes steps one after another.

It reads an assignment a line on standard input, a key and perhaps its part in a group of workers,
and answers in JSON lines; at the line `stop` it ends, after a checkpoint where a training is at
work; whatever a model or a plugin prints goes to standard error, which is the worker's log.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import io
import json
import os
import shutil
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from threading import Event
from typing import IO, TYPE_CHECKING

from alspec.errors import AlspecError, Interrupted, RankLost, StoreError
from alspec.plan.kinds import KINDS, TRAIN, Kind
from alspec.plan.step import Step
from alspec.run.executors.group import Assignment
from alspec.store.store import Store
from alspec.system import failpoints
from alspec.system.atomic import describe_os_error
from alspec.system.scratch import scratch_folder

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from alspec.models.training.hooks import Progress
    from alspec.steps.work import StepContext, WorkerContext

REPORT_SECONDS = 0.2
STOP = "stop"

GRACE_SECONDS = 1.0
"""For a signal that ended the parent to be heard here, too."""
STOP_SECONDS = 8.0
"""For a training to write a checkpoint before its worker is killed."""

KEEP_ITERATIONS = "ALSPEC_CHECKPOINT_ITERATIONS"
"""Environment variable: iterations between two checkpoints of a training, in place of a minute."""

OUT_OF_MEMORY = ("out of memory", "ALLOC_FAILED", "can't allocate memory")
"""Signs in the messages of CUDA, of its libraries and of a processor's allocator."""


class MessageWriter:
    """The worker's side of the conversation: JSON objects, one a line."""

    def __init__(self, stream: IO[str]) -> None:
        self.stream = stream
        self._last_report = 0.0

    def send(self, **message: object) -> None:
        """Say one thing at once."""
        self.stream.write(json.dumps(message) + "\n")
        self.stream.flush()

    def progress(self, done: int, total: int) -> None:
        """Say how far the step is, a few times a second at most."""
        now = time.monotonic()
        if now - self._last_report >= REPORT_SECONDS:
            self._last_report = now
            self.send(event="progress", done=done, total=total)


class _Log(io.FileIO):
    """Standard error, where a full disk below it must not fail the step that says something."""

    def write(self, data: Buffer) -> int:
        """Write what can be written."""
        try:
            return super().write(data) or 0
        except OSError:
            return memoryview(data).nbytes


def prepare(device: str, store: Store | None = None) -> WorkerContext:
    """Load torch and MMSegmentation, fix what decides bits, and set up the worker's context.

    Args:
        device: where to compute.
        store: keeps decoded images for all workers; without one they stay in memory.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    warnings.simplefilter("ignore")
    import cv2
    import torch

    from alspec.models.nets import compat  # noqa: F401
    from alspec.steps.work import WorkerContext

    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    place = torch.device(device)
    if place.type == "cuda":
        torch.cuda.set_device(place)
    return WorkerContext(place, images=store.images if store else None)


def load_ahead() -> None:
    """Load what the first training would load, while there is nothing else to do."""
    for module in ("matplotlib.figure", "torch._dynamo"):  # of MMEngine's visualiser, of optimizers
        importlib.import_module(module)
    for kind in KINDS.values():
        performer_of(kind)


def performer_of(kind: Kind) -> Callable[[StepContext], None]:
    """The function that does the work of a kind of step."""
    module, _, name = kind.performer.partition(":")
    perform: Callable[[StepContext], None] = getattr(importlib.import_module(module), name)
    return perform


def described_step(store: Store, key: str) -> Step:
    """The step whose recipe waits in the store.

    Raises:
        StoreError: there is no recipe, or it describes no step, or another than its name says.
    """
    try:
        step = Step.from_json(store.read_recipe(key))
    except (LookupError, TypeError, ValueError, RecursionError) as err:
        what = f"{store.recipe_path(key)}: describes no step ({err}); plan again"
        raise StoreError(what) from err
    if step.key != key:
        raise StoreError(f"{store.recipe_path(key)}: describes another step; plan again")
    return step


def work_on(step: Step, store: Store, worker_context: WorkerContext, progress: Progress) -> None:
    """Do a step and commit it. Raises what the step raises; then nothing is committed."""
    from alspec.steps.work import StepContext

    def progressed(done: int, total: int) -> None:
        failpoints.at(f"{step.kind.name}.progress", step.key)
        progress(done, total)

    worker_context.warnings.clear()
    with store.draft(step.key, step.to_json()) as folder:
        performer_of(step.kind)(StepContext(step, store, folder, worker_context, progressed))
    failpoints.at("checkpoint.clear", step.key)
    shutil.rmtree(store.checkpoints(step.key), ignore_errors=True)


def help_with(step: Step, store: Store, worker_context: WorkerContext) -> None:
    """Do this worker's part of a step that another one of its group reports and commits."""
    from alspec.steps.work import StepContext

    worker_context.warnings.clear()
    with scratch_folder() as scratch:
        context = StepContext(step, store, scratch, worker_context, lambda _done, _total: None)
        performer_of(step.kind)(context)


def serve(
    given: Assignment, step: Step, store: Store, worker_context: WorkerContext, progress: Progress
) -> None:
    """Do a step alone, or this worker's part of it. Raises what the step raises."""
    if given.count == 1:
        work_on(step, store, worker_context, progress)
        return
    from alspec.models.ranks import ALONE, joined

    device = worker_context.device
    try:
        with joined(given.rank, given.count, Path(given.meeting), device) as ranks:
            worker_context.ranks = ranks
            if ranks.first:
                work_on(step, store, worker_context, progress)
            else:
                help_with(step, store, worker_context)
    finally:
        worker_context.ranks = ALONE


def main() -> None:
    """Serve until standard input closes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--device", required=True)
    parser.add_argument("--loader-workers", type=int, default=0)
    parser.add_argument("--readers", type=int, default=0)
    options = parser.parse_args()
    writer = MessageWriter(os.fdopen(os.dup(1), "w", encoding="utf-8"))
    os.dup2(2, 1)
    sys.stdout = sys.stderr = io.TextIOWrapper(
        _Log(2, "w", closefd=False), "utf-8", errors="replace", write_through=True
    )
    keys: SimpleQueue[str | None] = SimpleQueue()
    stop, training = Event(), Event()
    # Not `sys.stdin`: a process that is forked closes it, and would wait for the thread's lock.
    lines = os.fdopen(os.dup(0), encoding="utf-8")
    sys.stdin = io.StringIO()
    listening = (lines, keys, stop, training)
    threading.Thread(target=_listen, args=listening, daemon=True).start()
    _heed_signals(stop, training)
    store = Store(options.store)
    worker_context = prepare(options.device, store)
    worker_context.stop, worker_context.loader_workers, worker_context.readers = (
        stop,
        options.loader_workers,
        options.readers,
    )
    worker_context.checkpoint_iterations = iterations_to_keep_after()
    writer.send(event="ready")
    if keys.empty():
        load_ahead()
    while (line := keys.get()) is not None:
        try:
            given = Assignment.of(line)
            step = described_step(store, given.key)
            if step.kind is TRAIN:
                training.set()
            sys.stderr.write(f"[{time.strftime('%H:%M:%S')}] {step.label} ({step.key[:12]})\n")
            serve(given, step, store, worker_context, writer.progress)
        except Interrupted:
            pass
        except AlspecError as err:
            writer.send(event="failed", message=_logged(err), follows=isinstance(err, RankLost))
        except OSError as err:
            traceback.print_exc()
            writer.send(event="failed", message=describe_os_error(err))
        except Exception as err:  # noqa: BLE001 - whatever broke, the worker lives on for the next step
            traceback.print_exc()
            writer.send(event="failed", message=words_of(err, options.device))
        else:
            writer.send(event="done", message=", ".join(worker_context.warnings[:1]))
        training.clear()
        if stop.is_set():
            os._exit(0)


def _logged(err: AlspecError) -> str:
    """Its text; where a plugin is the cause, the log shows its author the line."""
    if err.__cause__ is not None:
        traceback.print_exception(err)
    return str(err)


def _heed_signals(stop: Event, training: Event) -> None:
    """Have what ends the whole group of processes end this one like the line `stop` does.

    A scheduler or a closing terminal signals the run and its workers alike.
    """

    def heard(number: int, _frame: object) -> None:
        stop.set()
        if not training.is_set():
            os._exit(128 + number)

    for name in ("SIGTERM", "SIGHUP", "SIGINT", "SIGUSR1"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, heard)


def words_of(err: Exception, device: str) -> str:
    """What broke a step, in a line; where memory ran out, what to do, and what it held is freed."""
    text = str(err)
    if not (isinstance(err, MemoryError) or any(sign in text for sign in OUT_OF_MEMORY)):
        return f"{type(err).__name__}: {err}"
    traceback.clear_frames(err.__traceback__)  # the tensors of the step that broke
    gc.collect()
    if device.startswith("cuda"):
        sys.modules["torch"].cuda.empty_cache()
    reason = ". ".join(text.split(". ")[:3]).rstrip(".")
    return (
        f"{device} ran out of memory ({reason or type(err).__name__}). Lower training.batch_size, "
        "training.crop or image_size, or start fewer workers (--devices), and run again"
    )


def iterations_to_keep_after() -> int | None:
    """Iterations between checkpoints, from the environment; None for the usual ones."""
    value = os.environ.get(KEEP_ITERATIONS, "")
    if value and not value.isdecimal():
        raise SystemExit(f"{KEEP_ITERATIONS}={value}: expected a number of iterations")
    return int(value or 0) or None


def _listen(lines: IO[str], keys: SimpleQueue[str | None], stop: Event, training: Event) -> None:
    """Pass keys on; when the parent is gone, go at once, whatever is at work."""
    for line in lines:
        if not line.strip():
            break
        if line.strip() != STOP:
            keys.put(line.strip())
            continue
        stop.set()
        if not training.is_set():
            break
    # A signal to the whole group can end the parent before this process's own handler has run.
    if training.is_set() and stop.wait(GRACE_SECONDS):
        time.sleep(STOP_SECONDS)  # the checkpoint is on its way
    os._exit(0)


if __name__ == "__main__":
    main()
