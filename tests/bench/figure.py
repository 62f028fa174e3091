"""What a benchmark says: how many times better than a plain reference timed in the same run."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Figure:
    """One row of the table; every ratio is better when it is larger.

    A limit in seconds or bytes is a ratio too: what is allowed over what was measured, goal 1.

    Attributes:
        name: the benchmark's module, or its name, a hyphen and what is measured.
        ratio: how many times better than the reference.
        goal: the least ratio that is good enough.
        measured: both sides in words: `1.15 s against 72.6 s`.
    """

    name: str
    ratio: float
    goal: float
    measured: str

    @property
    def holds(self) -> bool:
        """Whether the goal is met."""
        return self.ratio >= self.goal


def seconds(
    work: Callable[[], object], repeats: int = 3, clock: Callable[[], float] = time.perf_counter
) -> float:
    """The least time of several calls: what noise adds is never less than nothing.

    Args:
        work: what is timed.
        repeats: calls.
        clock: `time.process_time` leaves out what other processes take of the machine.
    """
    times = []
    for _ in range(repeats):
        started = clock()
        work()
        times.append(clock() - started)
    return min(times)


def in_fresh_process(script: str, *arguments: str) -> Mapping[str, Any]:
    """What a script prints as its last line, in JSON; for peak memory, which a process keeps.

    Args:
        script: Python code; `peak_bytes()` is there to call.
        arguments: `sys.argv[1:]` of the script.
    """
    done = subprocess.run(
        [sys.executable, "-c", f"{_PEAK}\n{script}", *arguments],
        cwd=HERE,
        check=True,
        capture_output=True,
        text=True,
    )
    answer: Mapping[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


# Linux tells of this program alone in VmHWM; `ru_maxrss` begins with what its parent held.
_PEAK = """
import resource
def peak_bytes():
    try:
        with open("/proc/self/status") as status:
            line = next(line for line in status if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return int(line.split()[1]) * 1024
"""
