"""The paper's specs: planned at their real size on empty files, run end to end on miniatures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SPECS = Path(__file__).parents[1] / "specs"
COMMAND = [sys.executable, "-c", "from alspec.cli import main; main()"]
QUICK = (
    "model=deeplabv3plus_tiny",
    "training.epochs=1",
    "training.crop=[32, 64]",
    "seeds=[0]",
)
MINIATURES = {
    "cityscapes": ("cityscapes", 60, ("datasets.0.image_size=[32, 64]",)),
    "pascal_voc": ("voc", 60, ()),
    "a2d2_pools": (
        "a2d2",
        240,
        (
            "datasets.*.image_size=[40, 64]",
            *(f"datasets.{pool}.redundancy.size=132" for pool in range(5)),
            "evaluation.image_size=[32, 64]",
        ),
    ),
    "a2d2_3k": (
        "a2d2",
        120,
        (
            "datasets.0.image_size=[40, 64]",
            "evaluation.image_size=[32, 64]",
            "budgets.0.initial=8",
            "budgets.0.step=8",
        ),
    ),
}


def alspec(*words: str, root: Path) -> subprocess.CompletedProcess[str]:
    roots = dict.fromkeys(("CITYSCAPES_ROOT", "VOC_ROOT", "A2D2_ROOT"), str(root))
    environment = {**os.environ, **roots, "WRN38_WEIGHTS": ""}
    return subprocess.run(
        [*COMMAND, *words], env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", MINIATURES)
def test_each_spec_of_the_paper_runs_on_its_miniature(name: str, tmp_path: Path) -> None:
    kind, images, sets = MINIATURES[name]
    root, work = tmp_path / kind, tmp_path / "work"
    size = ("--height", "64", "--width", "128")
    made = alspec("datasets", "make", kind, str(root), "--images", str(images), *size, root=root)
    assert made.returncode == 0, made.stderr
    changed = [word for value in (*QUICK, *sets) for word in ("--set", value)]
    spec = str(SPECS / f"{name}.yaml")
    ran = alspec("run", spec, *changed, "--work-dir", str(work), root=root)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    report = (work / name / "report.md").read_text("utf-8")
    assert "## The guide" in report
    assert "Against the paper" not in report  # a miniature is not the paper's pool
    planned = json.loads(alspec("plan", spec, *changed, "--work-dir", str(work), "--json", root=root).stdout)
    assert planned["done"] == planned["steps"]
    rows = (work / name / "results.csv").read_text("utf-8").splitlines()
    assert len(rows) == 1 + planned["trainings_unshared"]
