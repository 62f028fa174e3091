"""Shows a run while it is at work: bars on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.status import Status

from alspec.cli.console import err, say_note
from alspec.plan.cost.time import format_duration

if TYPE_CHECKING:
    from alspec.plan.step import Step, StepKey
    from alspec.run.executors.base import Outcome
    from alspec.store.leases import Holder

PLAIN_SECONDS = 30.0
"""At most one line in this time where there is no terminal."""


class RunDisplay:
    """An observer (`run.observer`) that prints to standard error."""

    def __init__(self) -> None:
        self._costs: Mapping[StepKey, float] = {}
        self._waits = True
        self._started_at = self._printed_at = time.monotonic()
        self._done = 0
        self._spent = 0.0
        self._partial: dict[StepKey, float] = {}
        self._bars: dict[StepKey, TaskID] = {}
        self._study: TaskID | None = None
        self._progress: Progress | None = None
        self._status: Status | None = None

    def note(self, text: str) -> None:
        """Something to know that stops nothing."""
        say_note(text)

    def reading(self, dataset: str, images: int) -> None:
        """Some images have been read, before anything runs."""
        if err.is_terminal:
            if self._status is None:
                self._status = err.status("")
                self._status.start()
            self._status.update(f"reading {escape(dataset)}: {images} images")
        elif time.monotonic() - self._printed_at >= PLAIN_SECONDS:
            self._printed_at = time.monotonic()
            err.print(f"reading {dataset}: {images} images", markup=False)

    def end_reading(self) -> None:
        """Reading is over, well or not."""
        if self._status:
            self._status.stop()
            self._status = None

    def steps_begin(self, costs: Mapping[StepKey, float], *, waits: bool) -> None:
        """Steps are about to run."""
        self.end_reading()
        self._costs, self._waits, self._done, self._spent = costs, waits, 0, 0.0
        self._started_at = time.monotonic()
        if err.is_terminal:
            self._progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.fields[left]}"),
                console=err,
                transient=True,
            )
            self._study = self._progress.add_task("[bold]study", total=len(costs), left="")
            self._progress.start()
        else:
            err.print(f"{len(costs)} steps to run")
            self._printed_at = time.monotonic()

    def steps_end(self) -> None:
        """No more steps run."""
        if self._progress:
            self._progress.stop()
            self._progress = None

    def started(self, step: Step) -> None:
        """A step begins."""
        self._partial[step.key] = 0.0
        if self._progress:
            bar = self._progress.add_task(f"  {escape(step.label)}", total=None, left="")
            self._bars[step.key] = bar

    def progressed(self, step: Step, done: int, total: int) -> None:
        """A step did some of its units."""
        self._partial[step.key] = done / max(total, 1)
        if self._progress and step.key in self._bars:
            self._progress.update(self._bars[step.key], completed=done, total=total)
        self._refresh()

    def ended(self, step: Step, outcome: Outcome, message: str, log: str) -> None:
        """A step ended."""
        self._partial.pop(step.key, None)
        if outcome.name != "AGAIN":
            self._done += 1
            self._spent += self._costs.get(step.key, 0.0)
        bar = self._bars.pop(step.key, None)
        if self._progress and bar is not None:
            self._progress.remove_task(bar)
        if message:
            where = f" (log: {log})" if log else ""
            text = escape(f"{step.label}: {outcome.word}: {message}{where}")
            err.print(f"[{outcome.colour}]{outcome.symbol}[/] {text}")
        self._refresh()

    def held(self, step: Step, holder: Holder) -> None:
        """Another living process has the lease of a step."""
        waits = "; this run waits for it (--no-wait ends it instead)" if self._waits else ""
        err.print(f"[yellow]-[/] {escape(f'{step.label}: {holder} works on it{waits}')}")

    def idle(self) -> None:
        """Nothing happened for a moment."""
        self._refresh()

    def _left(self) -> str:
        spent = self._spent + sum(
            self._costs.get(key, 0.0) * part for key, part in self._partial.items()
        )
        passed = time.monotonic() - self._started_at
        if spent <= 0 or passed < 5:
            return ""
        rest = sum(self._costs.values()) - spent
        return f"about {format_duration(passed * rest / spent)} left"

    def _refresh(self) -> None:
        if self._progress and self._study is not None:
            self._progress.update(self._study, completed=self._done, left=self._left())
        elif not self._progress and time.monotonic() - self._printed_at >= PLAIN_SECONDS:
            self._printed_at = time.monotonic()
            parts = [f"{self._done} of {len(self._costs)} steps", self._left()]
            err.print(", ".join(part for part in parts if part))


@contextmanager
def closing_display() -> Iterator[RunDisplay]:
    """A display whose line about reading is removed at the end, also after an error."""
    display = RunDisplay()
    try:
        yield display
    finally:
        display.end_reading()
