"""Part 4: the quickstart on the card: its wall time, and its mIoU beside the CPU's seeds.

`python tests/gpu/part_quickstart.py --reference RESULTS_CSV SPEC` writes what it is compared with.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import platform
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from part_notes import Notes, run_part, run_until, write_atomically

HERE = Path(__file__).resolve().parent
QUICKSTART = HERE.parents[1] / "specs/quickstart.yaml"
REFERENCE = HERE / "quickstart_cpu.json"
TOY = [
    "training.epochs=1", "methods=[random]", "seeds=[0]", "datasets.0.sequences=4",
    "datasets.0.val_sequences=4",
]  # fmt: skip
"""What `--rehearse` changes."""
END_SECONDS = 15.0
"""For the tables of a run that was ended."""

Cells = dict[str, list[float]]


def part(notes: Notes, options: argparse.Namespace) -> None:
    """One run with one worker, whole or as far as the time goes."""
    folder = options.scratch / "quickstart"
    changes = TOY if options.rehearse else []
    device = "cpu:1" if options.rehearse else "cuda:0"
    started = time.monotonic()
    told = [str(QUICKSTART), "--work-dir", str(folder)]
    for change in changes:
        told += ["--set", change]
    alspec = [sys.executable, "-m", "alspec"]
    code = run_until([*alspec, "run", *told, "--devices", device], notes.left - END_SECONDS)
    seconds = round(time.monotonic() - started, 1)
    notes.say("run", code=code, wall_seconds=seconds, device=device)
    if code:  # what is finished is worth its numbers
        subprocess.run([*alspec, "report", *told], check=False, timeout=END_SECONDS)
    results = next(folder.glob("*/results.csv"))
    notes.say("miou", **beside(cells_of(results), json.loads(REFERENCE.read_text("utf-8"))))


def cells_of(results: Path) -> Cells:
    """mIoU of every labelled set, by dataset, method, arm and cycle; a number a seed."""
    cells: Cells = defaultdict(list)
    with results.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            arm = f"ssl={row['ssl']} dropout={row['mc_dropout']}"
            name = f"{row['dataset']} {row['method']} {arm} {row['cycle']}"
            cells[name].append(float(row["miou"]))
    return cells


def beside(found: Cells, reference: dict[str, Any]) -> dict[str, Any]:
    """Each cell's distance from the CPU's mean, in standard deviations over the CPU's seeds.

    A cell's own deviation rests on a few seeds, so all cells share one, pooled over them.
    """
    expected: Cells = reference["miou"]
    deviations = [statistics.variance(values) for values in expected.values() if len(values) > 1]
    pooled = statistics.fmean(deviations) ** 0.5 if deviations else float("nan")
    same = hashlib.sha256(QUICKSTART.read_bytes()).hexdigest() == reference["spec_sha256"]
    both = sorted(found.keys() & expected.keys())
    away = {name: statistics.fmean(found[name]) - statistics.fmean(expected[name]) for name in both}
    worst = max(away, key=lambda name: abs(away[name]), default="")
    outside = [name for name in both if abs(away[name]) > 3 * pooled]
    return {
        "spec_is_the_reference's": same,
        "cells": len(both),
        "cells_without_reference": len(found.keys() - expected.keys()),
        "cpu_seed_deviation": pooled,
        "mean_difference": statistics.fmean(away.values()) if away else None,
        "largest_difference": away.get(worst),
        "largest_at": worst,
        "beyond_3_deviations": outside,
        "mean_miou": statistics.fmean(v for values in found.values() for v in values),
    }


def write_reference(results: Path, spec: Path) -> None:
    """Take a finished study of the CPU as what later ones are compared with."""
    cells = {name: sorted(values) for name, values in sorted(cells_of(results).items())}
    sha256 = hashlib.sha256(spec.read_bytes()).hexdigest()
    data = {"spec_sha256": sha256, "python": platform.python_version(), "miou": cells}
    write_atomically(REFERENCE, data)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--reference"]:
        write_reference(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        run_part(part)
