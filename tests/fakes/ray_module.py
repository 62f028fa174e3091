"""A module in place of `ray`: nodes with what they have, and the tasks that were asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

    from alspec.run.executors.ray import Task


class FakeRay:
    """A cluster whose tasks end at once and do nothing.

    Args:
        nodes: CPUs and GPUs of each.
    """

    def __init__(self, nodes: Sequence[tuple[int, int]]) -> None:
        self._nodes = [{"CPU": float(cpus), "GPU": float(gpus)} for cpus, gpus in nodes]
        self.exceptions = SimpleNamespace(RayError=OSError)
        self.tasks: list[tuple[Mapping[str, object], Task]] = []
        self.at_work = False

    def is_initialized(self) -> bool:
        return False

    def init(self, **asked: object) -> None:
        self.at_work = True

    def nodes(self) -> list[dict[str, object]]:
        gone: dict[str, object] = {"Alive": False, "Resources": {"CPU": 64.0, "GPU": 8.0}}
        return [gone, *({"Alive": True, "Resources": each} for each in self._nodes)]

    def remote(self, **asked: object) -> Callable[[object], object]:
        def begin(task: Task) -> int:
            self.tasks.append((asked, task))
            return len(self.tasks)

        return lambda _function: SimpleNamespace(remote=begin)

    def wait(self, tasks: Sequence[int], **how: object) -> tuple[Sequence[int], list[int]]:
        return tasks, []

    def cancel(self, task: int, **how: object) -> None:
        pass

    def shutdown(self) -> None:
        self.at_work = False


def put_in_place(monkeypatch: pytest.MonkeyPatch, nodes: Sequence[tuple[int, int]]) -> FakeRay:
    """What `import ray` gives from now on."""
    fake = FakeRay(nodes)
    monkeypatch.setitem(sys.modules, "ray", fake)
    return fake
