from __future__ import annotations

import hashlib

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from alspec.datasets.base import Split
from alspec.datasets.kinds.partly_labelled import PartlyLabelled, Spec
from alspec.errors import DataError


def spec(root, **changes):
    plain = {
        "name": "mine",
        "kind": "folder",
        "root": str(root),
        "image_size": [8, 8],
        "images": "frames",
        "masks": "labels",
        "classes": ["a", "b"],
    }
    return Spec.model_validate({**plain, **changes})


def image(root, name, size=(4, 6)):
    path = root / "frames" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, 3), 90, np.uint8)).save(path)


def mask(root, name, size=(4, 6), value=1):
    path = root / "labels" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(size, value, np.uint8)).save(path)
    return path


@pytest.fixture
def root(tmp_path):
    for name in ("s/10.jpg", "s/9.jpg", "t/1.png"):
        image(tmp_path, name)
    return tmp_path


def test_lists_every_image_in_time_order_whether_or_not_there_is_a_mask(root):
    dataset = PartlyLabelled(spec(root))
    assert [f.id for f in dataset.frames(Split.POOL)] == [
        "frames/s/9.jpg",
        "frames/s/10.jpg",
        "frames/t/1.png",
    ]
    assert dataset.labelled() == ()
    assert dataset.frames(Split.VAL) == ()
    assert dataset.mask_file("frames/s/9.jpg") == root / "labels" / "s" / "9.png"


def test_a_new_or_changed_mask_moves_neither_fingerprint_nor_order(root):
    before = PartlyLabelled(spec(root))
    prints = [before.fingerprint(split) for split in Split]
    path = mask(root, "s/9.png")
    after = PartlyLabelled(spec(root))
    assert [after.fingerprint(split) for split in Split] == prints
    assert after.frames(Split.POOL) == before.frames(Split.POOL)
    assert after.labelled() == ("frames/s/9.jpg",)
    own = hashlib.sha256(path.read_bytes()).hexdigest()
    assert after.digests(after.labelled())["frames/s/9.jpg"][1] == own


def test_a_new_image_moves_the_fingerprint(root):
    before = PartlyLabelled(spec(root)).fingerprint(Split.POOL)
    image(root, "t/2.png")
    assert PartlyLabelled(spec(root)).fingerprint(Split.POOL) != before


def test_a_mask_without_an_image_is_still_an_error(root):
    mask(root, "s/9.png")
    mask(root, "stranger.png")
    with pytest.raises(DataError, match=r"stranger\.png"):
        PartlyLabelled(spec(root)).frames(Split.POOL)


def test_check_reads_images_without_masks_and_the_masks_that_are_there(root):
    mask(root, "s/9.png", value=7)
    (root / "frames" / "t" / "1.png").write_bytes(b"no image")
    found = [p.where for problems in PartlyLabelled(spec(root)).check() for p in problems]
    assert len(found) == 2
    assert found[0].endswith("labels/s/9.png")
    assert found[1].endswith("frames/t/1.png")


def test_validation_images_still_need_their_masks_and_stay_apart(root):
    image(root, "../val/1.png")
    val = {"images": "val", "masks": "valannot"}
    (root / "valannot").mkdir()
    with pytest.raises(DataError, match="valannot"):
        PartlyLabelled(spec(root, val=val)).frames(Split.VAL)
    with pytest.raises(ValidationError, match="share files"):
        spec(root, val={"images": "frames", "masks": "valannot"})
