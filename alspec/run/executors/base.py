"""The contract between executors and the loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol, TypeAlias

from alspec.plan.step import StepKey


class Outcome(Enum):
    """How a step ended, with its symbol, name and colour on a terminal."""

    DONE = ("✓", "done", "green")
    FAILED = ("✗", "failed", "red")
    LOST = ("✗", "lost its worker", "red")
    SKIPPED = ("-", "skipped", "yellow")
    ELSEWHERE = ("✓", "done by another run", "green")
    FAILED_ELSEWHERE = ("✗", "failed in another run", "red")
    AGAIN = ("-", "will be done again", "yellow")

    def __init__(self, symbol: str, word: str, colour: str) -> None:
        self.symbol = symbol
        self.word = word
        self.colour = colour


@dataclass(frozen=True, slots=True)
class Progressed:
    """A step at work has done some of its units."""

    key: StepKey
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Ended:
    """A step ended; `message` says why if it was not done, `log` names the log file."""

    key: StepKey
    outcome: Outcome
    message: str = ""
    log: str = ""


Event: TypeAlias = Progressed | Ended


class Executor(Protocol):
    """Duties. **Submit** returns at once. **Wait** never raises for a lost job: it reports it.

    **Close** ends whatever is at work and leaves no process behind. An executor moves keys; whether
    a step is done, the store says.
    """

    @property
    def free_slots(self) -> int:
        """How many steps could be submitted now."""
        ...

    def warm_up(self) -> None:
        """Begin what takes long to start, if anything does, while the caller still prepares."""
        ...

    def has_room(self, devices: int) -> bool:
        """Whether a step that takes so many devices could be submitted now."""
        ...

    def submit(self, key: StepKey, devices: int = 1) -> None:
        """Hand over a step whose recipe is in the store.

        Args:
            key: the step's.
            devices: that it takes; as many processes do it together.
        """
        ...

    def wait(self, timeout_seconds: float) -> Event | None:
        """The next event, or None when there was none in time."""
        ...

    def close(self) -> None:
        """Stop, at once."""
        ...


@dataclass(frozen=True, slots=True)
class Workplace:
    """Where an executor's steps run and what they may use.

    Attributes:
        store: root of the store, absolute.
        devices: one device name a worker, as torch spells it.
        logs: folder for the logs of workers.
        loader_workers: processes that prepare a training's batches; no result depends on it.
    """

    store: Path
    devices: Sequence[str]
    logs: Path
    loader_workers: int = 0


ExecutorFactory: TypeAlias = Callable[[Workplace], Executor]
