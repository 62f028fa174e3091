"""Whole runs of a tiny study with a made-up trainer, in this process or in ones to be killed."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from collections import deque
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from unittest import mock

import numpy as np
from factories.toy import TOY

from alspec import api
from alspec.plan.expand import expand
from alspec.plan.kinds import ACQUIRE, POOL, TRAIN
from alspec.plan.kinds.train import WEIGHTS
from alspec.plan.step import Step
from alspec.run.executors.base import Ended, Outcome
from alspec.run.observer import Silence
from alspec.spec.model import Study
from alspec.store.store import Store
from alspec.store.study_folder import StudyFolder
from alspec.system import failpoints
from alspec.system.atomic import write_csv, write_json, write_text


def tiny_plan(**changes):
    return expand(Study.model_validate({**TOY, **changes}))


STUDIES = {
    "tiny": {},
    "other": {"study": "other", "methods": ["random", "entropy", "coreset"], "keep": "none"},
}
"""What studies that a server runs together change in the tiny one; they have steps in common."""


def numbers_of(*parts):
    """A generator that depends on everything it is given."""
    digest = hashlib.sha256(b"\0".join(str(part).encode() for part in parts)).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


def perform(step: Step, store: Store, folder: Path) -> None:
    """Write what a step of this kind writes; numbers that follow from the bytes of its inputs."""
    inputs = step.inputs
    if step.kind is POOL:
        write_csv(folder / "pool.csv", ("id", "sequence"), [(f"{n:03d}", "a") for n in range(20)])
        described = {
            "images": 20,
            "sequences": 1,
            "distinct_views": 5,
            "views_per_image": 0.25,
            "redundancy": "high",
        }
        write_json(folder / "pool.json", {**described, "notes": []})
    elif step.kind is ACQUIRE:
        ids = [line.partition(",")[0] for line in store.read_lines(inputs["pool"], "pool.csv")[1:]]
        before = (
            store.read_lines(inputs["labelled"], "labelled.txt") if "labelled" in inputs else []
        )
        trained = store.file(inputs["train"], WEIGHTS).read_bytes() if "train" in inputs else b""
        left = [one for one in ids if one not in before]
        rows = numbers_of(step.key, *before, trained).permutation(len(left))
        chosen = [left[row] for row in rows[: step.params["images"] - len(before)]]
        write_text(folder / "selected.txt", "".join(f"{i}\n" for i in chosen))
        write_text(folder / "labelled.txt", "".join(f"{i}\n" for i in (*before, *chosen)))
        write_json(folder / "acquire.json", {"seconds": 1.0, "device": "cpu"})
    elif step.kind is TRAIN:
        labelled = (
            store.read_lines(inputs["labelled"], "labelled.txt") if "labelled" in inputs else []
        )
        (folder / WEIGHTS).write_bytes(numbers_of(step.key, *labelled).bytes(400))
        write_json(folder / "model.json", {"config": "{}", "mc_dropout": False})
        write_json(folder / "train.json", {"seconds": 2.0, "device": "cpu", "iterations": 1})
        write_csv(folder / "epochs.csv", ("epoch", "loss"), [(0, 1.5)])
    else:
        weights = store.file(inputs["train"], WEIGHTS).read_bytes()
        confusion = numbers_of(step.key, weights).integers(1, 99, (4, 4))
        np.save(folder / "confusion.npy", confusion, allow_pickle=False)
        write_json(folder / "evaluate.json", {"classes": ["a", "b", "c", "d"], "images": 5})


class FakeTrainer:
    """Performs steps in this process, and notes in a file which it began and ended."""

    def __init__(self, place, notes=None):
        """At a place, or with two slots for a store whose root is given."""
        self.root = Path(getattr(place, "store", place))
        self.slots, self.notes = max(1, len(getattr(place, "devices", "ab"))), notes
        self.queue, self.silence = deque(), SimpleQueue()

    @property
    def free_slots(self):
        return self.slots - len(self.queue)

    def warm_up(self):
        pass

    def submit(self, key):
        self.queue.append(key)

    def wait(self, timeout_seconds):
        if not self.queue:
            with suppress(Empty):
                self.silence.get(timeout=min(timeout_seconds, 0.02))
            return None
        key, store = self.queue.popleft(), Store(self.root)
        self.note(f"began {key}")
        try:
            step = Step.from_json(store.read_recipe(key))
            with store.draft(key, step.to_json()) as folder:
                perform(step, store, folder)
        except Exception as err:  # noqa: BLE001 - as the worker does
            return Ended(key, Outcome.FAILED, f"{type(err).__name__}: {err}")
        self.note(f"ended {key}")
        return Ended(key, Outcome.DONE)

    def note(self, words):
        if self.notes:
            with Path(self.notes).open("a") as file:  # short lines appended are whole
                file.write(f"{words} {os.getpid()}\n")

    def close(self):
        pass


class Heard(Silence):
    """An observer that records notes, how steps ended and who has leases."""

    def __init__(self):
        self.notes, self.ends, self.holders = [], [], []

    def note(self, text):
        self.notes.append(text)

    def ended(self, step, outcome, message, log):
        self.ends.append((outcome, message))

    def held(self, step, holder):
        self.holders.append(holder)


def drawn(album):
    """In place of `Album.draw`: drawing takes a second and none of it matters here."""
    return {"toy.svg": b"<svg/>", "toy.png": b"a figure"}


def run_study(work_dir, plan, notes=None, executor=None, observer=None, **how):
    """`api.run` with a made-up trainer and figure, on no real disk: its summary, and its notes."""
    observer = observer or Heard()
    make = (lambda _: executor) if executor else partial(FakeTrainer, notes=notes)
    with mock.patch("os.fsync"), mock.patch("alspec.report.album.Album.draw", drawn):
        done = api.run(
            plan.study, devices="cpu:2", work_dir=work_dir, progress=observer, executor=make, **how
        )
    return done.summary, observer.notes


def results_of(work_dir, plan):
    """Everything a study publishes: path to bytes. The report names its folder, so that is cut."""
    root = StudyFolder(work_dir, plan.study.study).root
    cut = str(work_dir).encode()
    return {
        str(path.relative_to(root)): path.read_bytes().replace(cut, b"")
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != "events.jsonl"
    }


def importing_tests():
    """The environment of a process that imports this folder's modules."""
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}


class Server:
    """Starts runs that can be killed, and tells how each process of them ended."""

    def __init__(self, folder, module="fakes.trainer"):
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, str(folder / "first")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=importing_tests(),
        )

    def run(self, work_dir, **asked):
        self.process.stdin.write(json.dumps({"work_dir": str(work_dir), **asked}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


def serve():
    """Read runs from standard input, JSON a line; run each in forks, and tell how they ended."""
    plans = {study: tiny_plan(**changes) for study, changes in STUDIES.items()}
    plans["kept"] = tiny_plan(keep="all")
    with mock.patch("os.fsync"):  # load what a first run loads
        for plan in plans.values():
            run_study(Path(sys.argv[1]), plan)
    shutil.rmtree(sys.argv[1])
    for line in sys.stdin:
        asked = json.loads(line)
        studies = asked.get("studies", {"tiny": asked.get("processes", 1)})
        together = multiprocessing.get_context("fork").Barrier(sum(studies.values()))
        forks = [_fork(plans[s], asked, together) for s, n in studies.items() for _ in range(n)]
        codes = [os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1]) for fork in forks]
        print(json.dumps(codes), flush=True)


class Together(FakeTrainer):
    """Takes no step before all processes of a round would: all studies have said what they need."""

    def __init__(self, place, notes, together):
        super().__init__(place, notes)
        self.together = together

    @property
    def free_slots(self):
        if self.together:
            self.together.wait()
            self.together = None
        return super().free_slots


def _fork(plan, asked, together):
    fork = os.fork()
    if fork:
        return fork
    code = 3
    try:
        os.environ[failpoints.FAULT] = asked.get("fault", "")
        if "counts" in asked:
            os.environ[failpoints.FAULT] = "none:0:kill"
        work_dir, notes, executor = Path(asked["work_dir"]), asked.get("notes"), None
        if "studies" in asked:
            executor = Together(StudyFolder(work_dir, "").store.root, notes, together)
        summary, _ = run_study(work_dir, plan, notes, executor)
        code = 1 if summary.failed else 0
        if "counts" in asked:
            Path(asked["counts"]).write_text(json.dumps(failpoints.passed()))
    except BaseException as err:  # noqa: BLE001 - a fork must end here
        print(repr(err), file=sys.stderr, flush=True)
    finally:
        os._exit(code)


KILLED = -signal.SIGKILL

if __name__ == "__main__":
    serve()
