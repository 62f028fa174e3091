"""The folder kind and the redundancy measure on a real dataset, where it is at hand."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from alspec.datasets.base import Split
from alspec.datasets.kinds.folder import Folder, Spec
from alspec.datasets.pools.construction import build_pool, candidates
from alspec.datasets.pools.redundancy import measured_redundancy
from alspec.spec.model import FollowingFrames

BESIDE = Path(__file__).resolve().parents[4] / "shared" / "data" / "camvid"
ROOT = Path(os.environ.get("CAMVID_ROOT") or BESIDE)
CLASSES = [
    "sky",
    "building",
    "pole",
    "road",
    "pavement",
    "tree",
    "sign",
    "fence",
    "car",
    "pedestrian",
    "bicyclist",
]

pytestmark = pytest.mark.skipif(
    not ROOT.is_dir(), reason="CamVid is not here; set CAMVID_ROOT to its folder"
)


@pytest.fixture(scope="module")
def camvid():
    return Folder(
        Spec(
            name="camvid",
            kind="folder",
            root=str(ROOT),
            image_size=(360, 480),
            images="train",
            masks="trainannot",
            classes=CLASSES,
            ignore=11,
            sequence="^(.*)_",
            val={"images": "test", "masks": "testannot"},
        )
    )


def test_frames_and_sequences(camvid):
    pool, val = camvid.frames(Split.POOL), camvid.frames(Split.VAL)
    assert Counter(f.sequence for f in pool) == {"0001TP": 62, "0006R0": 101, "0016E5": 204}
    assert Counter(f.sequence for f in val) == {"0001TP": 62, "Seq05VD": 171}
    assert pool[0].id == "train/0001TP_006690.jpg"
    assert [f.id for f in pool] == sorted(f.id for f in pool)


def test_every_file_is_good(camvid):
    found = list(camvid.check())
    assert len(found) == 367 + 233
    assert not any(found)


def test_masks_are_class_ids(camvid):
    seen = np.zeros(256, int)
    for frame in camvid.frames(Split.POOL)[::20]:
        mask = camvid.read_mask(frame.id)
        assert mask.shape == camvid.read_image(frame.id).shape[:2] == (360, 480)
        seen += np.bincount(mask.ravel(), minlength=256)
    assert (seen[:11] > 0).all()
    assert seen[255] > 0
    assert seen[11:255].sum() == 0


def test_one_frame_a_second_is_redundant_and_every_fifth_is_not(camvid):
    frames = camvid.frames(Split.POOL)
    found = [measured_redundancy(camvid, candidates(frames, n)) for n in (1, 5, 15)]
    assert [one.level for one in found] == ["high", "low", "low"]
    assert [one.neighbours for one in found] == pytest.approx([0.75, 0.29, 0.08], abs=0.05)


def test_pools_of_groups(camvid):
    frames = camvid.frames(Split.POOL)
    pool = build_pool(FollowingFrames(kind="frames", size=72, consecutive=5), frames)
    assert len(set(pool.frames)) == 72
