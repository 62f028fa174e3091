"""The command as its users start it: whole processes, timed from start to end."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

REPOSITORY = Path(__file__).parents[2]


def run_command(
    *arguments: object, home: Path | None = None, code: Path = REPOSITORY
) -> tuple[float, str]:
    """Run `alspec` on the CPU; wall seconds, and what it wrote on standard output.

    Args:
        arguments: of the command.
        home: the current directory of the process.
        code: the folder with the package to run, this repository or another state of it.

    Raises:
        RuntimeError: the command failed; with what it said.
    """
    environment = {**os.environ, "PYTHONPATH": str(code), "CUDA_VISIBLE_DEVICES": ""}
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "alspec", *map(str, arguments)],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    took = time.perf_counter() - started
    if done.returncode:
        raise RuntimeError(f"alspec {' '.join(map(str, arguments))}: {done.stderr}")
    return took, done.stdout


def seconds_of(*arguments: object, home: Path | None = None, repeats: int = 5) -> float:
    """The median wall time of a command."""
    return median(run_command(*arguments, home=home)[0] for _ in range(repeats))
