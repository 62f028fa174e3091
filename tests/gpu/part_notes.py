"""What a part of the GPU acceptance found: written after every figure, whatever breaks next."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LAST_LINES = 8
"""Of a traceback, as kept in the notes."""
STOP_SECONDS = 15.0
"""For a run that was asked to end: its workers write checkpoints."""


def write_atomically(path: Path, data: Any) -> None:
    """Replace a JSON file in one rename; a reader never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(data, indent=1, sort_keys=True, default=str) + "\n", "utf-8")
    draft.replace(path)


class Notes:
    """Named figures of a part, on disk after each, and the time that is left for more."""

    def __init__(self, path: Path, seconds: float) -> None:
        self._path = path
        self._until = time.monotonic() + seconds
        self._figures: dict[str, dict[str, Any]] = {}

    @property
    def left(self) -> float:
        """Seconds until the part should end."""
        return self._until - time.monotonic()

    def keep(self, name: str, **figures: Any) -> None:
        """Note figures under a name without printing them."""
        self._figures.setdefault(name, {}).update(figures)
        write_atomically(self._path, self._figures)

    def say(self, name: str, **figures: Any) -> None:
        """Note figures under a name, beside what is there, and print them."""
        self.keep(name, **figures)
        told = ", ".join(f"{key} {_short(value)}" for key, value in figures.items())
        print(f"    {name}: {told}", flush=True)

    @contextmanager
    def attempt(self, name: str, needs: float = 0.0) -> Iterator[bool]:
        """Note how long the block took, or why it failed; what comes after it goes on.

        Args:
            name: of the figures.
            needs: seconds the block is expected to take.

        Yields:
            Whether there is time; without it, it is noted that there was none.
        """
        started = time.monotonic()
        if self.left < needs:
            self.say(name, skipped=f"{needs:.0f} s wanted, {self.left:.0f} s left")
            yield False
            return
        try:
            yield True
        except Exception:  # noqa: BLE001 - whatever broke is a finding
            self.say(name, error=traceback.format_exc().strip().splitlines()[-LAST_LINES:])
        self.say(name, took_seconds=round(time.monotonic() - started, 2))


def run_until(command: Sequence[str], seconds: float) -> int | str:
    """Run a command for so many seconds, then ask it to end; its exit code, or how it was ended."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        return process.wait(max(1.0, seconds))
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)
    try:
        return process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return "killed"


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return " | ".join(map(str, value))[:600]
    return str(value)[:300]


def options_of_part() -> argparse.ArgumentParser:
    """What every part is told."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True, help="the part's figures, JSON")
    parser.add_argument("--scratch", type=Path, required=True, help="a folder to work in")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--rehearse", action="store_true", help="toy sizes on the CPU")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--study", type=Path, action="append", default=[])
    return parser


def run_part(part: Callable[[Notes, argparse.Namespace], None]) -> None:
    """Do a part as its own process."""
    options = options_of_part().parse_args()
    notes = Notes(options.out, options.seconds)
    with notes.attempt("part"):
        part(notes, options)
