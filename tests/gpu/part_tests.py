"""Part 1: the tests marked `gpu`, as pytest runs them; each outcome is noted as it comes."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

from part_notes import Notes, run_part

HERE = Path(__file__).resolve().parent
OUTCOME = re.compile(r"^\S*test_on_gpu\.py::(\S+) (PASSED|FAILED|ERROR|SKIPPED)")


def part(notes: Notes, options: argparse.Namespace) -> None:
    """Run them; what fails is told with its last lines."""
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-v", "--tb=short", "-W", "ignore"]
    command += ["-p", "no:cacheprovider", "--maxfail=100", str(HERE / "test_on_gpu.py")]
    command += ["-p", "failures_at_once"]
    # What else is installed there brings plugins that nobody asked for.
    paths = os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": paths}
    lines: list[str] = []
    failures: list[str] = []
    outcomes: dict[str, list[str]] = {}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        for line in process.stdout or ():
            sys.stdout.write(line)
            lines.append(line.rstrip())
            if line.startswith("! "):
                failures.append(line[2:].rstrip())
                notes.keep("failures", lines=failures)
            if found := OUTCOME.match(line):
                outcomes.setdefault(found[2].lower(), []).append(found[1])
                notes.keep("outcomes", **outcomes)
    notes.say("outcomes", code=process.returncode, summary=lines[-1:])
    if process.returncode and not failures:
        notes.keep("failures", lines=lines[-60:])


if __name__ == "__main__":
    run_part(part)
