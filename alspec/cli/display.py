"""Shows a run while it is at work: bars on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.status import Status
from rich.table import Column

from alspec.cli.console import err, say_note, shown
from alspec.cli.time_left import TimeLeft
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
        self._left = TimeLeft({})
        self._waits = True
        self._printed_at = time.monotonic()
        self._done = 0
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
            self._status.update(f"reading {shown(dataset)}: {images} images")
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
        self._costs, self._waits, self._done = costs, waits, 0
        self._left = TimeLeft(costs)
        if err.is_terminal:
            self._progress = progress_bars(err)
            self._study = self._progress.add_task("[bold]study", total=len(costs))
            self._progress.start()
        else:
            err.print(f"{len(costs)} step{'s' if len(costs) != 1 else ''} to run")
            self._printed_at = time.monotonic()

    def steps_end(self) -> None:
        """No more steps run."""
        if self._progress:
            self._progress.stop()
            self._progress = None

    def started(self, step: Step) -> None:
        """A step begins."""
        if self._progress:
            text = shown(fitted(step.label, err.width - BESIDE_NAME[err.width >= WIDE]))
            self._bars[step.key] = self._progress.add_task(f"  {text}", total=None)

    def progressed(self, step: Step, done: int, total: int) -> None:
        """A step did some of its units."""
        self._left.progressed(step.key, done / max(total, 1), time.monotonic())
        if self._progress and step.key in self._bars:
            self._progress.update(self._bars[step.key], completed=done, total=total)
        self._refresh()

    def ended(self, step: Step, outcome: Outcome, message: str, log: str) -> None:
        """A step ended."""
        if outcome.name != "AGAIN":
            self._done += 1
            self._left.ended(step.key, time.monotonic())
        bar = self._bars.pop(step.key, None)
        if self._progress and bar is not None:
            self._progress.remove_task(bar)
        if message:
            where = f" (log: {log})" if log else ""
            text = shown(f"{step.label}: {outcome.word}: {message}{where}")
            err.print(f"[{outcome.colour}]{outcome.symbol}[/] {text}")
        self._refresh()

    def held(self, step: Step, holder: Holder) -> None:
        """Another living process has the lease of a step."""
        waits = "; this run waits for it (--no-wait ends it instead)" if self._waits else ""
        err.print(f"[yellow]-[/] {shown(f'{step.label}: {holder} works on it{waits}')}")

    def idle(self) -> None:
        """Nothing happened for a moment."""
        self._refresh()

    def _refresh(self) -> None:
        seconds = self._left.seconds(time.monotonic())
        left = "" if seconds is None else f"about {format_duration(seconds)} left"
        if self._progress and self._study is not None:
            text = f"[bold]study[/] {left}"
            self._progress.update(self._study, completed=self._done, description=text)
        elif not self._progress and time.monotonic() - self._printed_at >= PLAIN_SECONDS:
            self._printed_at = time.monotonic()
            parts = [f"{self._done} of {len(self._costs)} steps", left]
            err.print(", ".join(part for part in parts if part))


WIDE = 60
"""Columns from which there is room for bars and the time that passed."""

BESIDE_NAME = {False: 12, True: 38}
"""Columns that a line has beside a step's name, without and with bars."""


def progress_bars(console: Console) -> Progress:
    """A line for the study and one for each step, no longer than the terminal is wide."""
    name = TextColumn(
        "{task.description}", table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")
    )
    count = MofNCompleteColumn(table_column=Column(no_wrap=True, justify="right"))
    wide: list[ProgressColumn] = [name, BarColumn(bar_width=16), count, TimeElapsedColumn()]
    columns = wide if console.width >= WIDE else [name, count]
    return Progress(*columns, console=console, transient=True, expand=True)


def fitted(label: str, width: int) -> str:
    """A step's name that fits; its end says more than its start: seed, cycle, what is done."""
    return label if len(label) <= width else f"…{label[-max(8, width - 1) :]}"


@contextmanager
def closing_display() -> Iterator[RunDisplay]:
    """A display whose line about reading is removed at the end, also after an error."""
    display = RunDisplay()
    try:
        yield display
    finally:
        display.end_reading()
