"""Hand-overs and deliveries against the tools' own libraries, in an environment of their own.

`ALSPEC_ORACLES` names its Python: `python -m venv oracles; oracles/bin/pip install datumaro
label-studio-sdk`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alspec.labelling.delivery.base import Awaited, Expectation
from alspec.labelling.delivery.read import read_delivery
from alspec.labelling.export import cvat
from alspec.labelling.export.image import HandedImage, HandOver, flat_name
from alspec.labelling.rle import pack, unpack

ORACLES = os.environ.get("ALSPEC_ORACLES", "")
pytestmark = [
    pytest.mark.nightly,
    pytest.mark.skipif(not ORACLES, reason="ALSPEC_ORACLES names no Python"),
]
CLASSES = ("sky", "building", "pole", "road")
SIZE = (90, 120)


def ask(what, folder):
    script = Path(__file__).with_name("oracle_script.py")
    subprocess.run([ORACLES, script, what, folder], check=True, timeout=600)


def blobs(seed):
    """A mask of smooth regions, single pixels among them."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 4, (9, 12)).astype(np.uint8) * 60)
    mask = np.array(coarse.resize((SIZE[1], SIZE[0]), Image.Resampling.BICUBIC)) // 60 % 4
    mask[rng.random(SIZE) < 0.02] = 1
    return mask.astype(np.uint8)


def test_label_studio_packs_the_same_bytes(tmp_path):
    masks = {f"{seed}": blobs(seed) == 1 for seed in range(20)}
    masks |= {"full": np.ones((300, 400), bool), "empty": np.zeros((300, 400), bool)}
    for name, mask in masks.items():
        np.save(tmp_path / f"{name}.npy", mask)
    ask("packed", tmp_path)
    for name, mask in masks.items():
        theirs = json.loads((tmp_path / f"{name}.json").read_text())
        assert pack(mask) == theirs
        assert (unpack(theirs, *mask.shape) == mask).all()


def test_datumaro_reads_the_hand_over_for_cvat_and_its_masks_come_back(tmp_path):
    images = []
    for rank in range(1, 21):
        file = tmp_path / f"f{rank}.jpg"
        Image.fromarray(np.full((*SIZE, 3), rank, np.uint8)).save(file)
        images.append(
            HandedImage(file.name, flat_name(1, rank, file.name), file, SIZE, blobs(rank))
        )
    work = tmp_path / "work"
    (work / "hand-over").mkdir(parents=True)
    cvat.write(work / "hand-over", HandOver(images, CLASSES, "p", "ignored", work))
    ask("cvat", work)
    labels = json.loads((work / "labels.json").read_text())
    for image in images:
        theirs = np.load(work / f"{image.name.rpartition('.')[0]}.npy")
        ours = np.vectorize(lambda value: labels.index(CLASSES[value]))(image.proposal)
        np.testing.assert_array_equal(theirs, ours)
    archive = shutil.make_archive(str(tmp_path / "back"), "zip", work / "voc")
    awaited = {i.name.rpartition(".")[0]: Awaited(i.id, i.size) for i in images}
    delivery = read_delivery(Path(archive), Expectation(awaited, CLASSES))
    found = {one.name: one.mask for one in delivery.images}
    assert len(found) == 20
    for image in images:
        np.testing.assert_array_equal(found[image.name.rpartition(".")[0]], image.proposal)
