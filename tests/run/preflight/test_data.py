"""Random small trees through `check_data`: what it accepts, what it caches."""

import numpy as np
import pytest
from PIL import Image

from alspec.datasets.kinds.folder import Spec
from alspec.errors import DataError
from alspec.run.preflight.data import check_data
from alspec.store.store import Store

NAMES = ("road", "car", "sky")


def save(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def tree(root, rng, values=(0, 1, 2), images=3, ignored=0.2):
    """Masks of some values; the values that occur in each half, 255 aside."""
    seen = {}
    for half, count in (("pool", images), ("val", 2)):
        masks = [rng.choice([*values], (8, 8)).astype(np.uint8) for _ in range(count)]
        for number, mask in enumerate(masks):
            mask[rng.random((8, 8)) < ignored] = 255
            save(
                root / half / "images" / f"{number}.bmp", rng.integers(0, 255, (8, 8, 3), np.uint8)
            )
            save(root / half / "masks" / f"{number}.bmp", mask)
        seen[half] = set(np.unique(masks).tolist())
    return seen


def spec(root, **changes):
    given = {
        "name": "d", "kind": "folder", "root": str(root), "image_size": [8, 8],
        "images": "pool/images", "masks": "pool/masks", "classes": list(NAMES),
        "val": {"images": "val/images", "masks": "val/masks"}, **changes,
    }  # fmt: skip
    return Spec.model_validate(given)


def checked(specs, **options):
    read, notes = [], []
    found = check_data(
        specs, lambda name, images: read.append(images), note=notes.append, **options
    )
    return found, read, notes


@pytest.mark.parametrize("seed", range(200))
def test_no_accepted_tree_has_a_class_without_pixels(tmp_path, seed):
    rng = np.random.default_rng(seed)
    values = rng.permutation(3)[: rng.integers(1, 4)].tolist() + [255] * int(rng.integers(0, 4))
    seen = tree(tmp_path, rng, values, ignored=float(rng.random()))
    absent = [name for name in NAMES if rng.random() < 0.2]
    try:
        checked([spec(tmp_path, absent=absent)])
    except DataError:
        return
    needed = {number for number, name in enumerate(NAMES) if name not in absent}
    assert needed <= seen["pool"] - {255}
    assert needed <= seen["val"] - {255}


def test_pixels_are_told_and_a_tree_is_read_once(tmp_path):
    tree(tmp_path, np.random.default_rng(0), ignored=0.0)
    found, read, notes = checked([spec(tmp_path)])
    assert (found, read) == ({"d": 5}, [1, 2, 3, 4, 5])
    assert notes[0].startswith("d: pixels of the pool: road ")
    assert notes[1].startswith("d: pixels of val: road ")
    again, read, told = checked([spec(tmp_path, absent=["car"])])
    assert (again, read, told) == ({"d": 0}, [], notes)


def test_without_a_home_the_store_caches(tmp_path, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    tree(tmp_path, np.random.default_rng(1), ignored=0.0)
    store = Store(tmp_path / "store")
    assert checked([spec(tmp_path)])[0] == {"d": 5}
    assert checked([spec(tmp_path)], store=store)[0] == {"d": 5}
    assert not store.root.exists(), "a store is not made for the cache"
    store.root.mkdir()
    assert checked([spec(tmp_path)], store=store)[0] == {"d": 5}
    assert checked([spec(tmp_path)], store=store)[0] == {"d": 0}


def test_a_pool_of_some_images_is_looked_at_for_itself(tmp_path):
    rng = np.random.default_rng(2)
    tree(tmp_path, rng, images=4, ignored=0.0)
    for number in (0, 2):
        mask = rng.choice([0, 1], (8, 8)).astype(np.uint8)
        save(tmp_path / "pool/masks" / f"{number}.bmp", mask)
    every = spec(tmp_path, redundancy={"kind": "every", "n": 2})
    checked([spec(tmp_path)])
    with pytest.raises(DataError, match="`sky` has no pixel in the masks of the pool"):
        checked([spec(tmp_path), every])


def test_the_same_fault_in_many_masks_is_one_sentence(tmp_path):
    rng = np.random.default_rng(3)
    tree(tmp_path, rng, images=30)
    for number in range(20):
        save(tmp_path / "pool/masks" / f"{number}.bmp", np.full((8, 8), 7, np.uint8))
    with pytest.raises(DataError) as caught:
        checked([spec(tmp_path)])
    (problem,) = caught.value.problems
    assert "values 7 belong to no class" in problem.what
    assert "the first of 20" in problem.what


def test_a_broken_cache_is_read_anew(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    tree(tmp_path, np.random.default_rng(4), ignored=0.0)
    assert checked([spec(tmp_path)])[0] == {"d": 5}
    for kept in (tmp_path / "cache").rglob("*.npz"):
        kept.write_bytes(kept.read_bytes()[:100])
    assert checked([spec(tmp_path)])[0] == {"d": 5}
    assert checked([spec(tmp_path)])[0] == {"d": 0}
