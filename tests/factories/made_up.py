"""An executor that writes what steps write, without a model."""

from __future__ import annotations

from collections import Counter
from typing import ClassVar

import numpy as np

from alspec.datasets.base import Split
from alspec.datasets.kinds.partly_labelled import PartlyLabelled, Spec
from alspec.plan.kinds import ACQUIRE, POOL, TRAIN
from alspec.plan.kinds.train import WEIGHTS
from alspec.plan.step import Step
from alspec.run.executors.base import Ended, Outcome
from alspec.store.store import Store
from alspec.system.atomic import write_array, write_csv, write_json, write_text


class MadeUp:
    """Writes what a step writes, without a model; notes what it did."""

    done: ClassVar[Counter] = Counter()

    def __init__(self, place):
        self.store, self.queue = Store(place.store), []

    free_slots = 1

    def warm_up(self):
        pass

    def has_room(self, devices):
        return True

    def submit(self, key, devices=1):
        self.queue.append(key)

    def wait(self, timeout_seconds):
        key = self.queue.pop(0)
        step = Step.from_json(self.store.read_recipe(key))
        with self.store.draft(key, step.to_json()) as folder:
            perform(step, self.store, folder)
        MadeUp.done[step.kind] += 1
        return Ended(key, Outcome.DONE)

    def close(self):
        pass


def perform(step, store, folder):
    params = step.params
    if step.kind is POOL:
        frames = PartlyLabelled(Spec.model_validate(step.local_paths["dataset"])).frames(Split.POOL)
        write_csv(folder / "pool.csv", ("id", "sequence"), [(f.id, f.sequence) for f in frames])
        write_json(
            folder / "pool.json", {"redundancy": "high", "images": len(frames), "sequences": 3}
        )
    elif step.kind is ACQUIRE:
        if "files" in params:
            chosen = [image for image, *_ in params["files"]]
        else:
            lines = store.read_lines(step.inputs["pool"], "pool.csv")[1:]
            before = store.read_lines(step.inputs["labelled"], "labelled.txt")
            apart = {*before, *params["excluded"]}
            ids = [line.partition(",")[0] for line in lines]
            chosen = [one for one in ids if one not in apart][: params["images"] - len(before)]
        write_text(folder / "selected.txt", "".join(f"{one}\n" for one in chosen))
        write_text(folder / "labelled.txt", "".join(f"{one}\n" for one in chosen))
        write_json(folder / "acquire.json", {"seconds": 1.0, "device": "cpu"})
    elif step.kind is TRAIN:
        (folder / WEIGHTS).write_bytes(step.key.encode())
        write_json(folder / "train.json", {"seconds": 1.0, "device": "cpu", "iterations": 1})
    else:
        images = [image for image, *_ in params["files"]]
        matrices = np.tile(np.eye(3, dtype=np.int64) * 9 + 1, (len(images), 1, 1))
        write_array(folder / "confusion.npy", matrices.sum(axis=0))
        write_array(folder / "confusions.npy", matrices)
        write_text(folder / "images.txt", "".join(f"{one}\n" for one in images))
        write_json(folder / "evaluate.json", {"images": len(images), "seconds": 1.0})
