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
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.synchronize import Barrier
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any
from unittest import mock

import numpy as np
from factories.toy import TOY

from alspec import api
from alspec.plan.dag import Plan
from alspec.plan.expand import expand
from alspec.plan.kinds import ACQUIRE, POOL, TRAIN
from alspec.plan.kinds.acquire import labelled_images
from alspec.plan.kinds.train import WEIGHTS
from alspec.plan.step import Step, StepKey
from alspec.run.executors.base import Ended, Event, Executor, Outcome, Workplace
from alspec.run.loop import RunSummary
from alspec.run.observer import Silence
from alspec.spec.model import Study
from alspec.store.leases import Holder
from alspec.store.store import Store
from alspec.store.study_folder import StudyFolder
from alspec.system import failpoints
from alspec.system.atomic import write_csv, write_json, write_text
from fakes import machines


def tiny_plan(**changes: object) -> Plan:
    return expand(Study.model_validate({**TOY, **changes}))


STUDIES: Mapping[str, Mapping[str, object]] = {
    "tiny": {},
    "other": {"study": "other", "methods": ["random", "entropy", "coreset"], "keep": "none"},
}
"""What studies that a server runs together change in the tiny one; they have steps in common."""


def numbers_of(*parts: object) -> np.random.Generator:
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
        chosen = [left[row] for row in rows[: labelled_images(step.params) - len(before)]]
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

    def __init__(self, place: Workplace | Path | str, notes: Path | str | None = None) -> None:
        """At a place, or with two slots for a store whose root is given."""
        self.slots, self.notes = 2, notes
        if isinstance(place, Workplace):
            self.root, self.slots = place.store, max(1, len(place.devices))
        else:
            self.root = Path(place)
        self.queue: deque[StepKey] = deque()
        self.silence: SimpleQueue[None] = SimpleQueue()

    @property
    def free_slots(self) -> int:
        return self.slots - len(self.queue)

    def has_room(self, devices: int) -> bool:
        return self.free_slots >= devices

    def warm_up(self) -> None:
        pass

    def submit(self, key: StepKey, devices: int = 1) -> None:
        self.queue.append(key)

    def wait(self, timeout_seconds: float) -> Event | None:
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

    def note(self, words: str) -> None:
        if self.notes:
            with Path(self.notes).open("a") as file:  # short lines appended are whole
                file.write(f"{words} {os.getpid()}\n")

    def close(self) -> None:
        pass


_: type[Executor] = FakeTrainer


class Heard(Silence):
    """An observer that records notes, how steps ended and who has leases."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.ends: list[tuple[Outcome, str]] = []
        self.holders: list[Holder] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def ended(self, step: Step, outcome: Outcome, message: str, log: str) -> None:
        self.ends.append((outcome, message))

    def held(self, step: Step, holder: Holder) -> None:
        self.holders.append(holder)


def drawn(album: object) -> dict[str, bytes]:
    """In place of `Album.draw`: drawing takes a second and none of it matters here."""
    return {"toy.svg": b"<svg/>", "toy.png": b"a figure"}


def run_study(
    work_dir: Path,
    plan: Plan,
    notes: Path | str | None = None,
    executor: Executor | None = None,
    observer: Heard | None = None,
    **how: Any,
) -> tuple[RunSummary, list[str]]:
    """`api.run` with a made-up trainer and figure, on no real disk: its summary, and its notes."""
    observer = observer or Heard()

    def make(place: Workplace) -> Executor:
        return executor or FakeTrainer(place, notes)

    with mock.patch("os.fsync"), mock.patch("alspec.report.album.Album.draw", drawn):
        done = api.run(
            plan.study, devices="cpu:2", work_dir=work_dir, progress=observer, executor=make, **how
        )
    return done.summary, observer.notes


def results_of(work_dir: Path, plan: Plan) -> dict[str, bytes]:
    """Everything a study publishes: path to bytes. The report names its folder, so that is cut."""
    root = StudyFolder(work_dir, plan.study.study).root
    cut = str(work_dir).encode()
    return {
        str(path.relative_to(root)): path.read_bytes().replace(cut, b"")
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != "events.jsonl"
    }


def importing_tests() -> dict[str, str]:
    """The environment of a process that imports this folder's modules."""
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}


class Server:
    """Starts runs that can be killed, and tells how each process of them ended."""

    def __init__(self, folder: Path, module: str = "fakes.trainer") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, str(folder / "first")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=importing_tests(),
        )
        assert self.process.stdin
        assert self.process.stdout
        self.asked, self.answers = self.process.stdin, self.process.stdout

    def run(self, work_dir: Path, **asked: object) -> Any:
        self.asked.write(json.dumps({"work_dir": str(work_dir), **asked}) + "\n")
        self.asked.flush()
        return json.loads(self.answers.readline())

    def close(self) -> None:
        self.asked.close()
        self.answers.close()
        self.process.wait()


def serve() -> None:
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
        forks = [
            _fork(plans[study], {**asked, "machine": machine}, together)
            for machine in asked.get("machines", [None])
            for study, processes in studies.items()
            for _ in range(processes)
        ]
        codes = [os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1]) for fork in forks]
        print(json.dumps(codes), flush=True)


class Together(FakeTrainer):
    """Takes no step before all processes of a round would: all studies have said what they need."""

    def __init__(self, place: Path, notes: str | None, together: Barrier) -> None:
        super().__init__(place, notes)
        self.together: Barrier | None = together

    @property
    def free_slots(self) -> int:
        if self.together:
            self.together.wait()
            self.together = None
        return super().free_slots


def _fork(plan: Plan, asked: Mapping[str, Any], together: Barrier) -> int:
    fork = os.fork()
    if fork:
        return fork
    code = 3
    try:
        os.environ[failpoints.FAULT] = asked.get("fault", "")
        if machine := asked.get("machine"):
            machines.become(machine)
            os.environ[failpoints.FAULT] = machine.get("fault", "")
        if "counts" in asked:
            os.environ[failpoints.FAULT] = "none:0:kill"
        work_dir, notes, executor = Path(asked["work_dir"]), asked.get("notes"), None
        if "studies" in asked:
            executor = Together(StudyFolder(work_dir, "").store.root, notes, together)
        summary, _ = run_study(work_dir, plan, notes, executor)
        code = 1 if summary.failed else 0
        if "counts" in asked:
            Path(asked["counts"]).write_text(json.dumps(dict(failpoints.passed)))
    except BaseException as err:  # noqa: BLE001 - a fork must end here
        print(repr(err), file=sys.stderr, flush=True)
    finally:
        os._exit(code)


KILLED = -signal.SIGKILL

if __name__ == "__main__":
    serve()
