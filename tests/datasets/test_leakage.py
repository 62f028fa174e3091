"""Validation sets that share files, bytes or views with the pool."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from alspec.datasets.kinds.folder import Spec
from alspec.datasets.leakage import near_copy_share
from alspec.errors import DataError
from alspec.run.preflight.data import check_data


def scene(rng):
    """A smooth picture of its own."""
    return np.asarray(
        Image.fromarray(rng.integers(0, 255, (4, 4, 3), np.uint8)).resize((16, 16)), np.uint8
    )


def save(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


@pytest.fixture
def tree(tmp_path):
    rng = np.random.default_rng(0)
    mask = (np.arange(256).reshape(16, 16) % 2).astype(np.uint8)
    for folder, count in (("", 24), ("val/", 12)):
        for number in range(count):
            save(tmp_path / f"{folder}images/{number}.png", scene(rng))
            save(tmp_path / f"{folder}masks/{number}.png", mask)
    return tmp_path


def checked(root):
    given = {
        "name": "d", "kind": "folder", "root": str(root), "image_size": [8, 8],
        "images": "images", "masks": "masks", "classes": ["a", "b"],
        "val": {"images": "val/images", "masks": "val/masks"},
    }  # fmt: skip
    notes = []
    check_data([Spec.model_validate(given)], lambda *_: None, note=notes.append)
    return "\n".join(notes)


def test_a_val_of_its_own_is_good_and_its_share_is_told(tree):
    assert "0 % of val's images have a near-copy in the pool" in checked(tree)


@pytest.mark.parametrize("how", ["folder", "symlinks", "hard links"])
def test_links_to_the_pool_are_refused(tree, how):
    if how == "folder":
        shutil.rmtree(tree / "val/images")
        (tree / "val/images").symlink_to("../images")
        shutil.rmtree(tree / "val/masks")
        (tree / "val/masks").symlink_to("../masks")
    else:
        path = tree / "val/images/3.png"
        path.unlink()
        make = os.symlink if how == "symlinks" else os.link
        make(tree / "images/5.png", path)
    with pytest.raises(DataError, match=r"files of the pool by another path.*trained on"):
        checked(tree)


def test_copies_are_refused_and_one_in_many_is_told(tree):
    shutil.copyfile(tree / "images/5.png", tree / "val/images/3.png")
    assert "1 of the 12 images of val are byte for byte the same" in checked(tree)
    shutil.copyfile(tree / "images/6.png", tree / "val/images/4.png")
    with pytest.raises(DataError, match="2 of the 12 images of val are byte for byte"):
        checked(tree)


def test_near_copies_are_told_with_their_share(tree):
    for number in range(6):
        image = np.asarray(Image.open(tree / f"images/{number}.png")).astype(int)
        save(tree / f"val/images/{number}.png", np.clip(image + 9, 0, 255).astype(np.uint8))
    assert "50 % of val's images have a near-copy in the pool" in checked(tree)


@pytest.mark.parametrize("seed", range(200))
def test_the_share_is_that_of_comparing_each_with_each(seed):
    rng = np.random.default_rng(seed)
    pool = np.array([scene(rng) for _ in range(rng.integers(15, 30))])
    val = np.array([scene(rng) for _ in range(rng.integers(5, 15))])
    known = rng.random(len(val)) < 0.4
    for row in np.flatnonzero(known):
        twin = pool[rng.integers(len(pool))].astype(int)
        val[row] = np.clip(twin + rng.integers(-6, 7, twin.shape), 0, 255)
    both = np.concatenate([pool, val]).reshape(len(pool) + len(val), -1, 3).astype(float)
    own = (both - both.mean(axis=1, keepdims=True)).reshape(len(both), -1)
    own -= own.mean(axis=0)
    own /= np.linalg.norm(own, axis=1, keepdims=True)
    alike = own[len(pool) :] @ own[: len(pool)].T
    expected = (alike >= 0.7).any(axis=1).mean()
    if np.abs(alike - 0.7).min() > 1e-4:
        assert near_copy_share(pool, val) == pytest.approx(expected)
