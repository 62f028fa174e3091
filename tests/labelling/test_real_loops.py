"""Batches through each tool on real data, true masks as the annotator.

`LABELLING_DATA` names a folder with `camvid`, `vocalfolds` and `dhcn`; `LABELLING_BATCHES` how many
batches (5).
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from factories.project_place import Place
from factories.real_projects import DATA, RealProject, rounds
from fakes.in_process import InProcess, predict_here

ROOT = Path(os.environ.get("LABELLING_DATA", "/nowhere"))
BATCHES = int(os.environ.get("LABELLING_BATCHES", "5"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not ROOT.is_dir(), reason="LABELLING_DATA names no folder"),
]


@pytest.mark.parametrize("tool", ["folder", "cvat", "labelstudio"])
@pytest.mark.parametrize("name", DATA)
def test_masks_on_disk_are_the_truth_and_no_image_is_asked_twice(name, tool, tmp_path, monkeypatch):
    monkeypatch.setattr("alspec.labelling.hand_over.predict_images", predict_here)
    real = RealProject(name, ROOT, tmp_path)
    place = Place(tmp_path / "work", InProcess)
    done = list(rounds(real, tool, place, BATCHES))
    assert len({image for _, batch, _ in done for image in batch.ids()}) == 20 * BATCHES
    assert real.wrong_pixels() == 0
    summary = place.status(real.project)
    assert summary.counts["labelled"] == 20 + 20 * BATCHES
    assert [point[0] for point in summary.worth.points] == [20 * n for n in range(1, BATCHES + 1)]
