"""The quickstart of 0.1 against the state before any of it was made faster: 1.5 times faster."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import mean

from command import REPOSITORY, run_command
from figure import Figure

GOAL = 1.5
BEFORE = "9579aa2"
"""The last commit before."""

SPEC = REPOSITORY / "tests" / "golden" / "pinned_study.yaml"
"""Which that commit can run."""
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
    """What a study found without s4GAN: selections, and rows of results.csv but for the seconds."""
    selections = {
        path.relative_to(study).as_posix(): path.read_text("utf-8")
        for path in sorted((study / "selections").rglob("*.txt"))
        if "-ssl" not in path.parent.name
    }
    return {"results.csv": _rows(study, ssl=False), **selections}


def _rows(study: Path, *, ssl: bool) -> list[dict[str, str]]:
    with (study / "results.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["ssl"] == str(int(ssl))]
    return [{k: v for k, v in row.items() if k not in TIMES} for row in rows]


def s4gan_miou(study: Path) -> float:
    """Mean of all sets' mIoU with s4GAN, whose sums are added in another order than before."""
    return mean(float(row["miou"]) for row in _rows(study, ssl=True))


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
        studies = [home / name / "quickstart" for name, _ in runs]
        old, new = (results_of(study) for study in studies)
        miou = [s4gan_miou(study) for study in studies]
        differing = [name for name in old.keys() | new.keys() if old.get(name) != new.get(name)]
    same = f"{len(differing)} files differ" if differing else "the same bytes"
    measured = (
        f"{took['new']:.0f} s against {took['old']:.0f} s; without s4GAN {same}, with it a mean "
        f"mIoU of {miou[1]:.2f} against {miou[0]:.2f}: its sums are added in another order"
    )
    yield Figure("quickstart", took["old"] / took["new"] if not differing else 0.0, GOAL, measured)
