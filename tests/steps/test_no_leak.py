"""Ground truth never reaches scoring: labels that are not paid for are made unreadable."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories.performed_steps import CPU, METHODS, Performed, study
from PIL import Image

from alspec.datasets.base import Split
from alspec.datasets.open import open_dataset
from alspec.errors import DataError
from alspec.plan.expand import expand
from alspec.plan.kinds import TRAIN
from alspec.plan.step import Step
from alspec.steps.work import WorkerContext


def tree(root: Path) -> None:
    """The toy's images and masks as a folder of files."""
    toy = open_dataset(study().datasets[0])
    for split in Split:
        for frame in toy.frames(split):
            name = frame.id.replace("/", "_") + ".png"
            for kind, pixels in (("images", toy.read_image), ("masks", toy.read_mask)):
                path = root / f"{split.value}_{kind}" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels(frame.id)).save(path)


def folder_study(root: Path, ssl: bool) -> Performed:
    classes = len(open_dataset(study().datasets[0]).classes)
    folder = {
        "name": "files",
        "kind": "folder",
        "root": str(root),
        "image_size": [32, 48],
        "images": "pool_images",
        "masks": "pool_masks",
        "classes": [f"class{number}" for number in range(classes)],
        "val": {"images": "val_images", "masks": "val_masks"},
    }
    whole = study(datasets=[folder], ssl=[ssl], baselines=[])
    return Performed(root / "store", expand(whole))


def paid_for(step: Step, performed: Performed) -> set[str]:
    """The stems of the images whose labels a step may read."""
    if step.kind is not TRAIN:
        return set()
    return {Path(image).stem for image in performed.labelled(step.inputs["labelled"])}


@pytest.mark.usefixtures("small_discriminator")
@pytest.mark.parametrize(
    ("ssl", "kept"),
    [
        (False, False),
        (True, True),
        pytest.param(False, True, marks=pytest.mark.slow),
        pytest.param(True, False, marks=pytest.mark.slow),
    ],
)
def test_every_method_runs_where_no_label_is_readable_but_those_paid_for(
    tmp_path: Path, ssl: bool, kept: bool
) -> None:
    """With decoded images on disk too: each step has its own, so none lends it a label."""
    tree(tmp_path)
    performed = folder_study(tmp_path, ssl)
    masks = {path: path.read_bytes() for path in (tmp_path / "pool_masks").iterdir()}
    for number, step in enumerate(performed.plan.in_order()):
        readable = paid_for(step, performed)
        for path, content in masks.items():
            path.write_bytes(content if path.stem in readable else b"\0" * len(content))
        # Nothing read before is remembered.
        performed.worker_context = WorkerContext(
            CPU, images=tmp_path / f"images{number}" if kept else None
        )
        performed.perform(step)
    ran = {run.method for run in performed.plan.runs}
    assert ran == set(METHODS)
    assert all(performed.store.is_done(key) for key in performed.plan.steps)


def test_a_label_that_is_paid_for_must_be_readable(tmp_path: Path) -> None:
    tree(tmp_path)
    performed = folder_study(tmp_path, ssl=False)
    for path in (tmp_path / "pool_masks").iterdir():
        path.write_bytes(b"\0" * path.stat().st_size)
    with pytest.raises(DataError, match="pool_masks"):
        performed.perform_all()
