"""Keys follow what files hold: the same files the same keys, whatever else happens to them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from alspec.datasets.files import contents as contents_module
from alspec.datasets.files.contents import FileContents, ListedFile
from alspec.datasets.open import open_dataset, pixels_identity
from alspec.errors import InputError
from alspec.plan.absolute_paths import with_absolute_paths
from alspec.plan.content_revisions import ContentRevisions
from alspec.plan.expand import expand
from alspec.spec.model import Study
from alspec.store.store import Store
from alspec.system.array_cache import ArrayCache

FOLDERS = ("images", "masks", "val/images", "val/masks")


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def tree(root, rng, images=3):
    for folder in FOLDERS:
        (root / folder).mkdir(parents=True)
        for number in range(images):
            (root / folder / f"{number}.png").write_bytes(rng.bytes(12))
    return root


def study(toy_spec, root):
    dataset = {
        "name": "d", "kind": "folder", "root": str(root), "image_size": [8, 8],
        "images": "images", "masks": "masks", "classes": ["a", "b"],
        "val": {"images": "val/images", "masks": "val/masks"},
    }  # fmt: skip
    budget = {"name": "b", "unit": "images", "initial": 1, "step": 1, "cycles": 2}
    return Study.model_validate({**toy_spec, "datasets": [dataset], "budgets": [budget]})


def planned(one, store):
    return expand(one, contents=ContentRevisions(store))


def record(one, store):
    contents = ContentRevisions(store)
    for spec in with_absolute_paths(one).datasets:
        dataset = open_dataset(spec)
        contents.record(dataset, contents.of(dataset))


def held(root):
    return {path: path.read_bytes() for path in sorted(Path(root).rglob("*.png"))}


def halves(files):
    """What the pool's files and what val's files hold."""
    pool = {path: data for path, data in files.items() if "val" not in path.parts}
    return pool, {path: data for path, data in files.items() if "val" in path.parts}


@pytest.mark.parametrize("settled", [2.0, -1.0], ids=["fresh files", "settled files"])
@pytest.mark.parametrize("seed", range(100))
def test_keys_are_those_of_the_content(home, toy_spec, monkeypatch, seed, settled):
    monkeypatch.setattr(contents_module, "SETTLED_SECONDS", settled)
    rng = np.random.default_rng(seed)
    root, store = tree(home / "tree", rng), Store(home / "store")
    one = study(toy_spec, root)
    plain = set(expand(one).steps)
    assert set(planned(one, store).steps) == plain
    record(one, store)
    first = held(root)
    seen = {repr(first): plain}
    for _ in range(4):
        path = rng.choice(sorted(first))
        what = rng.choice(["rewrite", "restore", "touch", "replace", "mode"])
        if what in ("rewrite", "replace"):
            fresh = path.with_name("fresh")
            fresh.write_bytes(rng.bytes(12))
            fresh.replace(path) if what == "replace" else shutil.copyfile(fresh, path)
            fresh.unlink(missing_ok=True)
        elif what == "restore":
            path.write_bytes(first[path])
        elif what == "touch":
            os.utime(path, (1, int(rng.integers(1, 10**9))))
        else:
            path.chmod(0o640)
        now = held(root)
        keys = set(planned(one, store).steps)
        same_pool, same_val = (a == b for a, b in zip(halves(now), halves(first), strict=True))
        assert (keys == plain) == (same_pool and same_val)
        if not same_pool:
            assert not keys & plain
        assert seen.setdefault(repr(now), keys) == keys


def test_other_labels_of_val_leave_trainings_as_they_are(home, toy_spec):
    root, store = tree(home / "tree", np.random.default_rng(0)), Store(home / "store")
    one = study(toy_spec, root)
    record(one, store)
    before = planned(one, store).steps
    (root / "val/masks/0.png").write_bytes(b"x" * 12)
    after = planned(one, store).steps
    assert {before[key].kind.name for key in before.keys() - after.keys()} == {"evaluate"}


def test_decoded_images_of_other_files_are_others(home, toy_spec):
    root, store = tree(home / "tree", np.random.default_rng(0)), Store(home / "store")
    one = study(toy_spec, root)
    record(one, store)
    (root / "masks/0.png").write_bytes(b"x" * 12)
    (pool,) = [step for step in planned(one, store).steps.values() if step.kind.name == "pool"]
    revisions = pool.local_paths["dataset"]["revisions"]
    assert list(revisions) == ["pool"]
    assert pool.params["dataset"]["content"] == revisions["pool"]
    spec = one.datasets[0]
    assert pixels_identity(spec.with_revisions(revisions)) != pixels_identity(spec)


def test_files_that_change_under_a_plan_are_told(home, toy_spec):
    root, store = tree(home / "tree", np.random.default_rng(0)), Store(home / "store")
    record(study(toy_spec, root), store)
    (root / "masks/0.png").write_bytes(b"x" * 12)
    dataset = open_dataset(study(toy_spec, root).datasets[0])
    with pytest.raises(InputError, match="changed since the plan was made"):
        ContentRevisions(store).record(dataset, {})


def test_only_what_was_touched_is_hashed_again(home, monkeypatch):
    hashed = []

    def counted(path):
        hashed.append(path)
        return real(path)

    real = contents_module.sha256_of_file
    monkeypatch.setattr(contents_module, "sha256_of_file", counted)
    monkeypatch.setattr(contents_module, "SETTLED_SECONDS", -1.0)
    paths = [home / f"{number}.bin" for number in range(5)]
    for path in paths:
        path.write_bytes(os.urandom(20))
    cache = ArrayCache((home / "c",))

    def digests():
        files = [ListedFile(path.name, str(path), path.stat()) for path in paths]
        contents = FileContents(cache, home)
        found = contents.digests(files)
        contents.save(cache)
        return found

    before = digests()
    assert len(hashed) == 5
    assert digests() == before
    assert len(hashed) == 5
    paths[3].write_bytes(os.urandom(20))
    after = digests()
    assert hashed[5:] == [str(paths[3])]
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, True, True, False, True]
