"""An executor and a predictor that work in this process: torch is loaded once for all tests."""

from __future__ import annotations

import traceback
from collections import deque

import torch

from alspec.errors import Problem
from alspec.run.executors import worker
from alspec.run.executors.base import Ended, Outcome
from alspec.steps.predict import predict
from alspec.store.store import Store


class InProcess:
    """Does a step when it is waited for."""

    def __init__(self, place):
        self.store = Store(place.store)
        self.queue = deque()
        self.context = None
        torch.set_num_threads(1)  # as a worker; many threads on busy cores wait for one another

    @property
    def free_slots(self):
        return 2 - len(self.queue)

    def warm_up(self):
        pass

    def submit(self, key):
        self.queue.append(key)

    def wait(self, timeout_seconds):
        if not self.queue:
            return None
        key = self.queue.popleft()
        if self.context is None:
            from alspec.steps.work import WorkerContext

            self.context = WorkerContext(torch.device("cpu"), images=self.store.images)
        try:
            step = worker.described_step(self.store, key)
            worker.work_on(step, self.store, self.context, lambda done, total: None)
        except Exception as err:  # noqa: BLE001 - as the worker does
            traceback.print_exc()
            return Ended(key, Outcome.FAILED, f"{type(err).__name__}: {err}")
        return Ended(key, Outcome.DONE)

    def close(self):
        pass


def predict_here(store, train, images, *, size, classes, devices, progress):
    """`run.prediction.predict_images` without processes."""
    job = {
        "store": str(store.root),
        "train": train,
        "size": size,
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
