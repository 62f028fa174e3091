"""Who hears of what happens in a run: the protocol, one that ignores it, one that prints lines."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias

from alspec.plan.step import Step, StepKey
from alspec.run.executors.base import Outcome
from alspec.store.leases import Holder


class Observer(Protocol):
    """Hears what happens, on the thread of the run; must not raise."""

    def note(self, text: str) -> None:
        """Something to know that stops nothing, in one sentence."""
        ...

    def reading(self, dataset: str, images: int) -> None:
        """Some images of a dataset have been read, before the first step."""
        ...

    def steps_begin(self, costs: Mapping[StepKey, float], *, waits: bool) -> None:
        """Steps are about to run.

        Args:
            costs: each step to run and its cost, relative to the others.
            waits: whether the run waits for steps that other processes hold.
        """
        ...

    def started(self, step: Step) -> None:
        """A step was handed to a worker."""
        ...

    def progressed(self, step: Step, done: int, total: int) -> None:
        """A step did some of its units."""
        ...

    def ended(self, step: Step, outcome: Outcome, message: str, log: str) -> None:
        """A step ended, or was given up because one before it failed."""
        ...

    def held(self, step: Step, holder: Holder) -> None:
        """Another living process has the lease of a ready step; heard once a process."""
        ...

    def idle(self) -> None:
        """Nothing happened for a moment."""
        ...

    def steps_end(self) -> None:
        """No more steps run; called once for every `steps_begin`, also after an error."""
        ...


class Silence:
    """Ignores everything; override what should be heard."""

    def note(self, text: str) -> None:
        """Ignore it."""

    def reading(self, dataset: str, images: int) -> None:
        """Ignore it."""

    def steps_begin(self, costs: Mapping[StepKey, float], *, waits: bool) -> None:
        """Ignore it."""

    def started(self, step: Step) -> None:
        """Ignore it."""

    def progressed(self, step: Step, done: int, total: int) -> None:
        """Ignore it."""

    def ended(self, step: Step, outcome: Outcome, message: str, log: str) -> None:
        """Ignore it."""

    def held(self, step: Step, holder: Holder) -> None:
        """Ignore it."""

    def idle(self) -> None:
        """Ignore it."""

    def steps_end(self) -> None:
        """Ignore it."""


class Lines(Silence):
    """Writes a line for each step that ends, and for each note.

    Args:
        write: is given each line, `print` for instance.
    """

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._total = self._ended = 0
        self._began = time.monotonic()

    def note(self, text: str) -> None:
        """Write it."""
        self._write(text)

    def steps_begin(self, costs: Mapping[StepKey, float], *, waits: bool) -> None:
        """Write how many steps there are to run."""
        self._total, self._ended, self._began = len(costs), 0, time.monotonic()
        self._write(f"{self._total} step{'s' if self._total != 1 else ''} to run")

    def ended(self, step: Step, outcome: Outcome, message: str, log: str) -> None:
        """Write which step ended and how."""
        if outcome is not Outcome.AGAIN:
            self._ended += 1
        seconds = time.monotonic() - self._began
        why = f": {message}" if message else ""
        count = f"[{self._ended}/{self._total}, {seconds:.0f} s]"
        self._write(f"{count} {step.label}: {outcome.word}{why}")

    def held(self, step: Step, holder: Holder) -> None:
        """Write who has the lease."""
        self._write(f"{step.label}: {holder} works on it")


Progress: TypeAlias = "Observer | Callable[[str], object] | None"
"""An observer, a function that is given lines of text (`print`), or None."""


def observer_of(progress: Observer | Callable[[str], object] | None) -> Observer:
    """The observer that a caller means: one of its own, a function of a line, or nobody."""
    if progress is None:
        return Silence()
    return Lines(progress) if callable(progress) else progress
