"""A large tree that is listed from its cache gives what listing it anew gives."""

from __future__ import annotations

import numpy as np
import pytest

from alspec.datasets.base import Split
from alspec.datasets.files import listing_cache
from alspec.datasets.kinds.folder import Folder, Spec
from alspec.errors import DataError

FOLDERS = ("images", "masks", "val/images", "val/masks")


@pytest.fixture(autouse=True)
def _small_trees_are_cached(monkeypatch, tmp_path):
    monkeypatch.setattr(listing_cache, "FEWEST", 1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def dataset(root, **changes):
    given = {
        "name": "d", "kind": "folder", "root": str(root), "image_size": [8, 8],
        "images": "images", "masks": "masks", "classes": ["a", "b"], "sequence": "^(.)",
        "val": {"images": "val/images", "masks": "val/masks"}, **changes,
    }  # fmt: skip
    return Folder(Spec.model_validate(given))


def listed(one):
    return [(one.frames(split), one.fingerprint(split)) for split in Split]


def put(root, name, size):
    for folder in FOLDERS:
        path = root / folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)


def anew(one, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(listing_cache, "FEWEST", 10**9)
        return listed(one)


@pytest.mark.parametrize("seed", range(40))
def test_a_cached_listing_is_that_of_the_files(tmp_path, monkeypatch, seed):
    rng = np.random.default_rng(seed)
    root = tmp_path / "tree"
    names = [
        f"{'st'[rng.integers(2)]}/{n:02d}" if rng.random() < 0.5 else f"u{n}" for n in range(9)
    ]
    for name in names:
        put(root, name, int(rng.integers(1, 9)))
    assert listed(dataset(root)) == anew(dataset(root), monkeypatch)
    for _ in range(4):
        what = rng.choice(["nothing", "size", "new", "gone"])
        if what == "size":
            put(root, names[0], int(rng.integers(1, 9)))
        elif what == "new":
            put(root, f"u{rng.integers(100)}", 3)
        elif what == "gone" and len(names) > 1:
            for folder in FOLDERS:
                (root / folder / f"{names[-1]}.png").unlink()
            names.pop()
        expected = anew(dataset(root), monkeypatch)
        assert listed(dataset(root)) == expected
        assert listed(dataset(root)) == expected


def test_the_second_listing_pairs_nothing(tmp_path, monkeypatch):
    put(tmp_path / "t", "a1", 3)
    first = listed(dataset(tmp_path / "t"))
    monkeypatch.setattr("alspec.datasets.kinds.folder.list_pairs", None)
    assert listed(dataset(tmp_path / "t")) == first
    with pytest.raises(TypeError):
        listed(dataset(tmp_path / "t", sequence="^(..)"))


def test_a_tree_with_faults_is_never_cached(tmp_path):
    put(tmp_path / "t", "a1", 3)
    (tmp_path / "t/masks/a1.png").rename(tmp_path / "t/masks/b.png")
    for _ in range(2):
        with pytest.raises(DataError, match="no mask"):
            listed(dataset(tmp_path / "t"))
