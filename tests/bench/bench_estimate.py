"""`alspec plan`'s seconds against the wall time of the run: within a factor of 1.5."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from command import run_command
from figure import Figure

WITHIN = 1.5

SPEC = """
study: estimated
datasets:
  - {name: toy, kind: toy, image_size: [48, 96], sequences: 4, frames: 25, val_sequences: 1,
     val_frames: 15}
budgets: [{name: 10-20, initial: 10, step: 20, cycles: 3}]
methods: [random, entropy]
ssl: [false, true]
model: deeplabv3plus_tiny
seeds: [0]
training: {epochs: 4, batch_size: 2, lr: 0.1, head_lr_factor: 1}
"""


def figures() -> Iterator[Figure]:
    """A calibration tells the first run's time, the first run's steps that of a second seed's."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "study.yaml").write_text(SPEC, "utf-8")
        run_command("plan", "study.yaml", "--calibrate", home=home)
        yield _compared("estimate-calibrated", home, "seeds=[0]")
        yield _compared("estimate-from-runs", home, "seeds=[1]")


def _compared(name: str, home: Path, seeds: str) -> Figure:
    planned = run_command("plan", "study.yaml", "--set", seeds, "--json", home=home)[1]
    told = float(json.loads(planned)["seconds"])
    took, _ = run_command("run", "study.yaml", "--set", seeds, home=home)
    off = max(told / took, took / told)
    measured = f"{told:.0f} s told, {took:.0f} s taken; within a factor of {WITHIN}"
    return Figure(name, WITHIN / off, 1, measured)
