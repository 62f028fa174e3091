"""Manifests of other versions, and steps that are committed again while they are read."""

from __future__ import annotations

import hashlib
import json
import os

import pytest
from factories.disk import overlay_over

from alspec.errors import StoreError
from alspec.store import store as store_module
from alspec.store.manifest import FORMAT, MANIFEST
from alspec.store.store import Store
from alspec.system.atomic import json_text

KEY = "a" * 64


@pytest.fixture(autouse=True)
def _no_waiting_for_disks(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def commit(store, text="good\n"):
    with store.draft(KEY, {"label": "a step"}) as draft:
        (draft / "a.txt").write_text(text)
        (draft / "b.txt").write_text(text)


def rewrite(store, change, *, sealed=True):
    """Change what a manifest says, as the code of another version would have written it."""
    path = store.home(KEY) / MANIFEST
    said = json.loads(path.read_text())
    del said["sha256"]
    change(said)
    if sealed:
        said["sha256"] = hashlib.sha256(json_text(said).encode()).hexdigest()
    path.write_text(json_text(said))


def quarantined(store):
    return list(store.folders.quarantine.glob("*"))


@pytest.mark.parametrize("sealed", [True, False])
def test_manifests_of_before_are_read(store, sealed):
    commit(store)
    rewrite(store, lambda said: said.pop("format"), sealed=sealed)
    assert store.read_lines(KEY, "a.txt") == ["good"]
    store.drop(KEY, "b.txt")
    store.verify(KEY)
    assert not store.holds(KEY, "b.txt")
    assert "format" not in json.loads((store.home(KEY) / MANIFEST).read_text())


def test_what_a_later_version_adds_invalidates_nothing_and_is_kept(store):
    commit(store)

    def more(said):
        said["files"]["a.txt"]["compressed"] = "no"
        said["a"] = said["spare"] = said["zz"] = {"anything": 1}

    rewrite(store, more)
    assert store.read_lines(KEY, "a.txt") == ["good"]
    store.verify(KEY)
    store.drop(KEY, "b.txt")
    said = json.loads((store.home(KEY) / MANIFEST).read_text())
    assert said["spare"] == said["zz"] == {"anything": 1}
    assert said["files"]["a.txt"]["compressed"] == "no"
    store.verify(KEY)
    assert not quarantined(store)


def test_a_later_format_is_told_and_left_alone(store):
    commit(store)
    rewrite(store, lambda said: said.update(format=FORMAT + 1, files=[]))
    for read in (
        lambda: store.artifacts(KEY),
        lambda: store.file(KEY, "a.txt"),
        lambda: store.verify(KEY),
        lambda: store.holds(KEY, "a.txt"),
    ):
        with pytest.raises(StoreError, match=r"later version of alspec .*format 3.*Install"):
            read()
    assert list(store.committed()) == []
    commit(store, "mine\n")  # the same step, made by this version: the other's stays
    assert json.loads((store.home(KEY) / MANIFEST).read_text())["format"] == FORMAT + 1
    assert not quarantined(store)


@pytest.mark.parametrize("change", [{"format": FORMAT + 1}, {"format": "x"}, {"spare": 1}])
def test_what_was_changed_without_its_seal_is_corrupt(store, change):
    commit(store)
    path = store.home(KEY) / MANIFEST
    path.write_text(json_text(json.loads(path.read_text()) | change))
    with pytest.raises(StoreError, match="corrupt"):
        store.artifacts(KEY)
    assert len(quarantined(store)) == 1


READS = {
    "artifacts": lambda store: store.artifacts(KEY),
    "file": lambda store: store.file(KEY, "a.txt"),
    "verify": lambda store: store.verify(KEY),
}
HARMS = {
    "artifacts": lambda home: (home / MANIFEST).write_text("{"),
    "file": lambda home: (home / "a.txt").write_text("evil\n"),
    "verify": lambda home: (home / "a.txt").write_text("evil\n"),
}


@pytest.mark.parametrize("when", ["before the look", "after the look"])
@pytest.mark.parametrize("how", READS)
def test_a_step_made_again_meanwhile_is_not_set_aside(store, how, when, monkeypatch):
    """Two readers find a step corrupt; the slower one moved what the faster one had made anew."""
    commit(store)
    HARMS[how](store.home(KEY))
    twin = Store(store.root)
    raced = []

    def race():
        if raced:
            return
        raced.append(True)
        with pytest.raises(StoreError):
            READS[how](twin)
        commit(twin)

    if when == "before the look":
        reached = store_module.failpoints.at
        monkeypatch.setattr(
            store_module.failpoints,
            "at",
            lambda point, path: (reached(point, path), point == "quarantine.rename" and race()),
        )
    else:
        look = Store._identity

        def late(self, key):
            found = look(self, key)
            if self is store and looked.append(1) is None and len(looked) == LOOKS[how]:
                race()
            return found

        looked = []
        monkeypatch.setattr(Store, "_identity", late)
    READS[how](store)
    assert raced
    assert store.read_lines(KEY, "a.txt") == ["good"]
    assert len(quarantined(store)) == 1


LOOKS = {"artifacts": 2, "file": 3, "verify": 3}
"""The look that comes just before the move: what is read is looked at before, manifest included."""


def test_in_a_container_steps_of_the_image_are_set_aside_as_well(tmp_path):
    """A folder of an overlay's lower layer cannot be renamed."""
    below = Store(tmp_path / "image" / "store")
    commit(below)
    (below.home(KEY) / "a.txt").write_text("evil\n")
    with overlay_over(tmp_path / "image", tmp_path / "overlay") as merged:
        store = Store(merged / "store")
        with pytest.raises(StoreError, match="quarantined"):
            store.file(KEY, "a.txt")
        assert not store.is_done(KEY)
        assert [(path / "a.txt").read_text() for path in quarantined(store)] == ["evil\n"]
        commit(store)
        store.drop(KEY, "b.txt")
        commit(store)  # again, with what was dropped
        assert store.read_lines(KEY, "b.txt") == ["good"]
    assert below.is_done(KEY)
