"""What alspec says on a terminal: tables, progress, errors; plain lines where there is none."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from alspec.plan.cost.time import format_duration

if TYPE_CHECKING:
    from alspec.plan.step import Step, StepKey
    from alspec.recommend.guide import Entry
    from alspec.run.executors.base import Outcome
    from alspec.store.leases import Holder

out = Console(highlight=False, soft_wrap=True, emoji=False)
err = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)

PLAIN_SECONDS = 30.0
"""At most one line in this time where there is no terminal."""


def say_json(data: Any) -> None:
    """JSON alone on standard output."""
    out.print(json.dumps(data, indent=2, allow_nan=False), markup=False)


def say_error(error: Exception) -> None:
    """An error in full on standard error."""
    err.print(f"[bold red]error[/] {escape(str(error))}")


def say_note(text: str) -> None:
    """Something to know that stops nothing, on standard error."""
    err.print(f"[yellow]-[/] {escape(text)}")


def say_notes(texts: Iterable[str]) -> None:
    """Several of them."""
    for text in texts:
        say_note(text)


def say_table(title: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table on standard output."""
    table = Table(title=title or None, title_justify="left", header_style="bold", box=None)
    for name in header:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    out.print(table, soft_wrap=False)


class Reading:
    """Progress of reading a study's files, before anything runs."""

    def __init__(self) -> None:
        self._status = err.status("reading images and masks") if err.is_terminal else None
        self._told = time.monotonic()

    def __enter__(self) -> Callable[[str, int], None]:
        if self._status:
            self._status.start()
        return self._progress

    def __exit__(self, *_: object) -> None:
        if self._status:
            self._status.stop()

    def _progress(self, dataset: str, images: int) -> None:
        if self._status:
            self._status.update(f"reading {escape(dataset)}: {images} images")
        elif time.monotonic() - self._told >= PLAIN_SECONDS:
            self._told = time.monotonic()
            err.print(f"reading {dataset}: {images} images", markup=False)


@dataclass
class RunDisplay:
    """Shows a run: the study, the steps at work with their cycle, the time left.

    Attributes:
        total: steps to run.
        cost: relative cost of each of them, for the time left.
        waits: whether the run waits for steps that other processes hold.
    """

    total: int
    cost: dict[StepKey, float]
    waits: bool = True
    started_at: float = field(default_factory=time.monotonic)
    _done: int = 0
    _spent: float = 0.0
    _partial: dict[StepKey, float] = field(default_factory=dict)
    _bars: dict[StepKey, TaskID] = field(default_factory=dict)
    _told: float = 0.0
    _study: TaskID | None = None
    _progress: Progress | None = None

    def __enter__(self) -> RunDisplay:
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
            self._study = self._progress.add_task("[bold]study", total=self.total, left="")
            self._progress.start()
        else:
            err.print(f"{self.total} steps to run")
            self._told = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress:
            self._progress.stop()

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
            self._spent += self.cost.get(step.key, 0.0)
        bar = self._bars.pop(step.key, None)
        if self._progress and bar is not None:
            self._progress.remove_task(bar)
        if message:
            where = f" (log: {log})" if log else ""
            text = escape(f"{step.label}: {outcome.word}: {message}{where}")
            err.print(f"[{outcome.colour}]{outcome.symbol}[/] {text}")
        self._refresh()

    def held(self, step: Step, holder: Holder) -> None:
        """Another living process works on a step."""
        waits = "; this run waits for it (--no-wait ends it instead)" if self.waits else ""
        err.print(f"[yellow]-[/] {escape(f'{step.label}: {holder} works on it{waits}')}")

    def idle(self) -> None:
        """Nothing happened for a moment."""
        self._refresh()

    def _left(self) -> str:
        spent = self._spent + sum(
            self.cost.get(key, 0.0) * part for key, part in self._partial.items()
        )
        passed = time.monotonic() - self.started_at
        if spent <= 0 or passed < 5:
            return ""
        rest = sum(self.cost.values()) - spent
        return f"about {format_duration(passed * rest / spent)} left"

    def _refresh(self) -> None:
        if self._progress and self._study is not None:
            self._progress.update(self._study, completed=self._done, left=self._left())
        elif not self._progress and time.monotonic() - self._told >= PLAIN_SECONDS:
            self._told = time.monotonic()
            parts = [f"{self._done} of {self.total} steps", self._left()]
            err.print(", ".join(part for part in parts if part))


def say_finding(mark: str, name: str, detail: str) -> None:
    """One line of the doctor's."""
    out.print(f"{mark} {escape(name)}: {escape(detail)}")


def say_advice(entry: Entry) -> None:
    """A cell of the guide: what it advises, on what evidence, with which limits."""
    arm = "SSL allowed" if entry.ssl else "no SSL"
    family = entry.family.capitalize()
    methods = ", ".join(method.capitalize() for method in entry.methods)
    advised = family if methods == family else f"{family} ({methods})"
    advised += " with SSL" if entry.use_ssl else ""
    out.print(f"redundancy {entry.redundancy}, budget {entry.budget}, {arm}: [bold]{advised}[/]")
    out.print(f"  {escape(entry.summary)}")
    for caveat in entry.caveats:
        out.print(f"  [yellow]caveat[/] {escape(caveat)}")
