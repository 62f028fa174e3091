"""One training on two GPUs: the same bits twice, and the losses of one GPU within rounding.

`pytest -m gpu`; skipped with fewer GPUs. With ALSPEC_GPU_REHEARSAL=1 on the CPU, in two processes.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from factories.toy import TOY

REHEARSED = bool(os.environ.get("ALSPEC_GPU_REHEARSAL"))
DEVICES = "cpu:2" if REHEARSED else "cuda:0,1"

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not REHEARSED and torch.cuda.device_count() < 2, reason="needs two CUDA devices"
    ),
]


def trained(home: Path, ssl: bool, devices: int) -> tuple[bytes, list[float]]:
    """The weights of the first training of a small study, and its losses by epoch."""
    home.mkdir()
    spec = {
        **TOY,
        "methods": ["random"], "ssl": [ssl], "baselines": [],
        "budgets": [{"name": "one", "unit": "images", "initial": 8, "step": 4, "cycles": 1}],
        "training": {"epochs": 4, "batch_size": 4, "lr": 0.01, "precision": "float32"},
        "execution": {"devices": devices},
    }  # fmt: skip
    (home / "study.yaml").write_text(yaml.safe_dump(spec))
    command = [sys.executable, "-m", "alspec", "run", "study.yaml", "--devices", DEVICES]
    done = subprocess.run(command, cwd=home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    store = home / "work_dirs" / ".store"
    (weights,) = store.glob("*/weights.safetensors")
    with (weights.parent / "epochs.csv").open() as file:
        losses = [float(row["decode.loss_ce"]) for row in csv.DictReader(file)]
    return weights.read_bytes(), losses


@pytest.mark.parametrize("ssl", [False, True])
def test_two_trainings_on_two_gpus_are_one(tmp_path: Path, ssl: bool) -> None:
    first = trained(tmp_path / "first", ssl, 2)
    assert trained(tmp_path / "second", ssl, 2) == first
    if not ssl:  # the discriminator's dropout draws other masks on each
        alone = trained(tmp_path / "alone", ssl, 1)
        assert first[1] == pytest.approx(alone[1], rel=2e-2)
