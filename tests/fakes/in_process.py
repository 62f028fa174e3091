"""An executor and a predictor that work in this process: torch is loaded once for all tests."""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Callable, Sequence

import torch

from alspec.errors import Problem
from alspec.plan.step import StepKey
from alspec.run.executors import worker
from alspec.run.executors.base import Ended, Event, Executor, Outcome, Workplace
from alspec.run.prediction import Files
from alspec.steps.predict import PredictionJob, predict
from alspec.steps.work import WorkerContext
from alspec.store.store import Store


class InProcess:
    """Does a step when it is waited for."""

    def __init__(self, place: Workplace) -> None:
        self.store = Store(place.store)
        self.queue: deque[StepKey] = deque()
        self.context: WorkerContext | None = None
        torch.set_num_threads(1)  # as a worker; many threads on busy cores wait for one another

    @property
    def free_slots(self) -> int:
        return 2 - len(self.queue)

    def has_room(self, devices: int) -> bool:
        return self.free_slots >= devices

    def warm_up(self) -> None:
        pass

    def submit(self, key: StepKey, devices: int = 1) -> None:
        self.queue.append(key)

    def wait(self, timeout_seconds: float) -> Event | None:
        if not self.queue:
            return None
        key = self.queue.popleft()
        if self.context is None:
            self.context = WorkerContext(torch.device("cpu"), images=self.store.images)
        try:
            step = worker.described_step(self.store, key)
            worker.work_on(step, self.store, self.context, lambda done, total: None)
        except Exception as err:  # noqa: BLE001 - as the worker does
            traceback.print_exc()
            return Ended(key, Outcome.FAILED, f"{type(err).__name__}: {err}")
        return Ended(key, Outcome.DONE)

    def close(self) -> None:
        pass


_: type[Executor] = InProcess


def predict_here(
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
    """`run.prediction.predict_images` without processes."""
    job: PredictionJob = {
        "store": str(store.root),
        "train": train,
        "size": size,
        "bands": bands,
        "value_range": value_range,
        "classes": classes,
        "device": "cpu",
        "images": images,
    }
    torch.set_num_threads(1)
    problems = []
    for done, said in enumerate(predict(job), start=1):
        if "what" in said:
            problems.append(Problem(said["where"], said["what"]))
        progress(done, len(images))
    return problems
