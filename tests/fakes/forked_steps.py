"""Real steps in processes to be killed, forked from one that has torch loaded."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

from alspec.plan.kinds import KINDS
from alspec.run.executors import worker
from alspec.steps.work import WorkerContext
from alspec.store.store import Store
from alspec.system import failpoints
from fakes.trainer import Server


class Trainer(Server):
    """Performs steps of a store in forks; what each came to is a mapping."""

    def __init__(self) -> None:
        super().__init__(Path(), "fakes.forked_steps")

    def perform(self, store: Store, key: str, **asked: object) -> Any:
        """`code`, what progress was `told`, `warnings`, `error` and how often points were passed.

        Args:
            store: where the step's recipe and inputs are.
            key: the step's.
            asked: `fault`, `every` (iterations between checkpoints), `loader_workers`.
        """
        return self.run(store.root, key=key, **asked)


def serve() -> None:
    worker_context = worker.prepare("cpu")
    for kind in KINDS.values():
        worker.performer_of(kind)
    for late in ("torch._dynamo", "matplotlib.pyplot"):  # what a first training would load
        importlib.import_module(late)
    for line in sys.stdin:
        asked = json.loads(line)
        read, write = os.pipe()
        fork = os.fork()
        if fork == 0:
            os.close(read)
            _perform(worker_context, asked, write)
        os.close(write)
        with os.fdopen(read) as pipe:
            said = [json.loads(one) for one in pipe if one.endswith("}\n")]
        code = os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1])
        told = [one["told"] for one in said if "told" in one]
        rest = {key: value for one in said if "told" not in one for key, value in one.items()}
        print(json.dumps({"code": code, "told": told, **rest}), flush=True)


def _perform(worker_context: WorkerContext, asked: Mapping[str, Any], write: int) -> None:
    pipe = os.fdopen(write, "w")

    def say(**words: object) -> None:
        pipe.write(json.dumps(words) + "\n")
        pipe.flush()

    code = 3
    try:
        os.environ[failpoints.FAULT] = asked.get("fault", "none:0:kill")
        worker_context.checkpoint_iterations = asked.get("every", 1)
        worker_context.loader_workers = asked.get("loader_workers", 0)
        store = Store(Path(asked["work_dir"]))
        step = worker.described_step(store, asked["key"])
        with mock.patch("os.fsync"):
            worker.work_on(step, store, worker_context, lambda done, total: say(told=done))
        code = 0
    except BaseException as err:  # noqa: BLE001 - a fork must end here
        say(error=f"{type(err).__name__}: {err}")
    finally:
        say(warnings=worker_context.warnings, passed=dict(failpoints.passed))
        os._exit(code)


if __name__ == "__main__":
    serve()
