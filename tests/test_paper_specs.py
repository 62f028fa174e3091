"""The paper's specs: planned at their real size on trees of empty files, run on miniatures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from alspec.spec.load import load_study

SPECS = Path(__file__).parents[1] / "specs"
COMMAND = [sys.executable, "-m", "alspec"]
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
    planned = json.loads(
        alspec("plan", spec, *changed, "--work-dir", str(work), "--json", root=root).stdout
    )
    assert planned["done"] == planned["steps"]
    rows = (work / name / "results.csv").read_text("utf-8").splitlines()
    assert len(rows) == 1 + planned["trainings_unshared"]


@pytest.mark.parametrize("name", MINIATURES)
def test_what_the_authors_code_does_is_a_spec_beside_the_papers(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("CITYSCAPES_ROOT", "VOC_ROOT", "A2D2_ROOT"):
        monkeypatch.setenv(variable, "/data")
    papers = load_study(SPECS / f"{name}.yaml")
    released = load_study(SPECS / "as_released" / f"{name}.yaml")
    assert released.study == f"{name}_as_released"
    assert released.model == "deeplabv3plus_wrn38_dense"
    assert (released.training.lr, released.training.head_lr_factor) == (4.9e-3, 8)
    assert released.training.flip == ("a2d2" not in name)
    params = {method.label: method.params for method in released.methods}
    assert params["coreset"] == {"grid": 2}
    assert params.get("equal", {"variant": "entropy_sum"}) == {"variant": "entropy_sum"}
    assert params.keys() == {method.label for method in papers.methods}
    of_both = ("epochs", "batch_size", "momentum", "weight_decay", "power", "crop", "scale")
    for field in of_both:
        assert getattr(released.training, field) == getattr(papers.training, field)
    for field in ("budgets", "ssl", "seeds", "s4gan", "evaluation"):
        assert getattr(released, field) == getattr(papers, field)
    assert [d.name for d in released.datasets] == [d.name for d in papers.datasets]


def touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def empty_cityscapes(root: Path) -> None:
    for split, city, images in (("train", "aachen", 2975), ("val", "frankfurt", 500)):
        for number in range(images):
            stem = f"{city}_{number // 30:06d}_{number % 30:06d}"
            touch(root / "leftImg8bit" / split / city / f"{stem}_leftImg8bit.png")
            touch(root / "gtFine" / split / city / f"{stem}_gtFine_labelIds.png")


def empty_voc(root: Path) -> None:
    home = root / "VOCdevkit" / "VOC2012"
    lists = home / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    for name, year, images in (("train_aug", 2008, 10_582), ("val", 2011, 1449)):
        stems = [f"{year}_{number:06d}" for number in range(images)]
        (lists / f"{name}.txt").write_text("\n".join(stems) + "\n", "utf-8")
        for stem in stems:
            touch(home / "JPEGImages" / f"{stem}.jpg")
            touch(home / "SegmentationClassAug" / f"{stem}.png")


def empty_a2d2(root: Path) -> None:
    drives = [f"201808{day}_101010" for day in range(10, 32)]
    frames = [(drives[number % 22], number // 22) for number in range(40_135)]
    frames += [("20180925_112730", number) for number in range(1142)]
    for drive, number in frames:
        home = root / "camera_lidar_semantic" / drive
        digits = drive.replace("_", "")
        for kind in ("camera", "label"):
            name = f"{digits}_{kind}_frontcenter_{number:09d}.png"
            touch(home / kind / "cam_front_center" / name)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "empty", "counts", "runs", "trainings", "unshared"),
    [
        ("cityscapes", empty_cityscapes, {(2975, 298, 1488), (2975, 60, 298)}, 84, 318, 372),
        (
            "pascal_voc",
            empty_voc,
            {(10_582, 1058, 5291), (10_582, 529, 2646), (10_582, 212, 1058)},
            81,
            309,
            369,
        ),
        ("a2d2_pools", empty_a2d2, {(2640, 264, 1320), (2640, 53, 264)}, 294, 1122, 1302),
        ("a2d2_3k", empty_a2d2, {(40_135, 1000, 3000)}, 33, 81, 93),
    ],
)
def test_the_papers_study_is_planned_at_its_real_size(
    name: str,
    empty: Callable[[Path], None],
    counts: set[tuple[int, int, int]],
    runs: int,
    trainings: int,
    unshared: int,
    tmp_path: Path,
) -> None:
    empty(tmp_path)
    shown, released = (
        alspec("plan", str(SPECS / folder / f"{name}.yaml"), "--json", root=tmp_path)
        for folder in (".", "as_released")
    )
    plan = json.loads(shown.stdout)
    assert json.loads(released.stdout)["trainings"] == trainings, "a study of the same size"
    found = {
        (s["pool_images"], s["labelled_images"][0], s["labelled_images"][-1])
        for s in plan["settings"]
    }
    assert found == counts
    assert (plan["runs"], plan["trainings"], plan["trainings_unshared"]) == (
        runs,
        trainings,
        unshared,
    )
