"""The README's quickstart against the state before any of it was made faster: 1.5 times faster."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from command import REPOSITORY, run_command
from figure import Figure

GOAL = 1.5
BEFORE = "9579aa2"
"""The last commit before."""

SPEC = REPOSITORY / "specs" / "quickstart.yaml"
TIMES = {"train_seconds", "acquire_seconds"}


def code_before(folder: Path) -> Path | None:
    """The package as it was, in a folder; None where the history is not there."""
    archive = subprocess.run(
        ["git", "archive", BEFORE, "alspec"], cwd=REPOSITORY, capture_output=True, check=False
    )
    if archive.returncode:
        return None
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")
    return folder


def results_of(study: Path) -> dict[str, object]:
    """What a study found: every selection, and results.csv without the columns of seconds."""
    with (study / "results.csv").open(newline="", encoding="utf-8") as file:
        rows = [{k: v for k, v in row.items() if k not in TIMES} for row in csv.DictReader(file)]
    selections = {
        path.relative_to(study).as_posix(): path.read_text("utf-8")
        for path in sorted((study / "selections").rglob("*.txt"))
    }
    return {"results.csv": rows, **selections}


def figures() -> Iterator[Figure]:
    """Both whole commands one after the other, each in an empty work directory."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        code = code_before(home / "before")
        if code is None:
            print(
                f"quickstart: the history has no {BEFORE}, so nothing to compare", file=sys.stderr
            )
            return
        runs = [("old", code), ("new", REPOSITORY)]
        took = {
            name: run_command("run", SPEC, "--work-dir", home / name, home=home, code=where)[0]
            for name, where in runs
        }
        old, new = (results_of(home / name / "quickstart") for name, _ in runs)
        differing = [name for name in old.keys() | new.keys() if old.get(name) != new.get(name)]
    same = "same results" if not differing else f"{len(differing)} files differ"
    measured = f"{took['new']:.0f} s against {took['old']:.0f} s, {same}"
    yield Figure("quickstart", took["old"] / took["new"] if not differing else 0.0, GOAL, measured)
