from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from alspec.errors import StoreError
from alspec.store.drafts import new_draft
from alspec.store.manifest import MANIFEST
from alspec.store.store import Store
from alspec.store.study_folder import StudyFolder
from alspec.system.atomic import write_bytes, write_csv, write_json, write_text

KEY = "a" * 64
WEIGHTS = "weights.safetensors"


@pytest.fixture(autouse=True)
def _no_waiting_for_disks(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def commit(store, key=KEY, **files):
    with store.draft(key, {"label": "a step"}) as draft:
        for name, text in (files or {"a.txt": "one\ntwo\n"}).items():
            (draft / name.replace("_", ".")).write_text(text)


def drafts(store):
    return list((store.root / "drafts").iterdir())


def test_a_committed_step_reads_back(store):
    assert not store.is_done(KEY)
    with store.draft(KEY, {"label": "words"}) as draft:
        write_json(draft / "a.json", {"x": [1, 2.5]})
        write_text(draft / "a.txt", "one\ntwo\n")
        np.save(draft / "a.npy", np.arange(4))
        assert not store.is_done(KEY)
    assert store.is_done(KEY)
    assert store.read_json(KEY, "a.json") == {"x": [1, 2.5]}
    assert store.read_lines(KEY, "a.txt") == ["one", "two"]
    assert store.read_array(KEY, "a.npy").tolist() == [0, 1, 2, 3]
    assert store.artifacts(KEY)["a.txt"].bytes == 8
    assert json.loads((store.home(KEY) / MANIFEST).read_text())["step"] == {"label": "words"}
    assert drafts(store) == []


def test_a_step_that_raises_leaves_nothing(store):
    def half_done():
        with store.draft(KEY, {}) as draft:
            (draft / "a.txt").write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half_done()
    assert not store.is_done(KEY)
    assert not store.home(KEY).exists()
    assert drafts(store) == []


@pytest.mark.parametrize("name", ["fsync", "rename"])
def test_a_commit_that_breaks_leaves_the_step_undone(store, monkeypatch, name):
    def broken(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.rename" if name == "rename" else "os.fsync", broken)
    with pytest.raises(OSError, match="No space"):
        commit(store)
    monkeypatch.undo()
    assert not store.is_done(KEY)
    commit(store)
    assert store.is_done(KEY)


def test_a_killed_writer_leaves_the_step_undone_and_its_draft_is_removed(store):
    code = (
        "import os, signal, sys; from pathlib import Path; from alspec.store.store import Store\n"
        f"with Store(Path(sys.argv[1])).draft('{KEY}', {{}}) as draft:\n"
        "    (draft / 'a.txt').write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(store.root)], check=False)
    assert killed.returncode == -9
    assert len(drafts(store)) == 1
    assert not store.is_done(KEY)
    commit(store)
    assert store.is_done(KEY)
    assert drafts(store) == []


def test_a_draft_of_a_living_process_is_left_alone(store):
    mine = new_draft(store.root / "drafts", KEY)
    commit(store)
    assert mine.is_dir()


def test_the_twin_that_finishes_first_stands(store):
    with store.draft(KEY, {}) as late:
        (late / "a.txt").write_text("late")
        commit(store, a_txt="first")
    assert store.read_lines(KEY, "a.txt") == ["first"]
    assert drafts(store) == []


def test_dropped_weights_are_gone_and_can_be_made_again(store):
    commit(store, weights_safetensors="numbers", train_json="{}")
    store.file(KEY, WEIGHTS)
    store.drop(KEY, WEIGHTS)
    store.drop(KEY, WEIGHTS)
    assert store.is_done(KEY)
    assert not store.holds(KEY, WEIGHTS)
    assert store.holds(KEY, "train.json")
    assert not (store.home(KEY) / WEIGHTS).exists()
    with pytest.raises(StoreError, match="not among the artifacts"):
        store.file(KEY, WEIGHTS)
    commit(store, weights_safetensors="numbers", train_json="{}")
    assert store.holds(KEY, WEIGHTS)
    assert store.file(KEY, WEIGHTS).read_text() == "numbers"
    assert list((store.root / "quarantine").iterdir()) == []


def _flip(path):
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    "damage",
    [
        lambda home: _flip(home / "a.txt"),
        lambda home: (home / "a.txt").write_text("one\ntw"),
        lambda home: (home / "a.txt").write_bytes(bytes(8)),
        lambda home: (home / "a.txt").unlink(),
        lambda home: (home / MANIFEST).write_text(""),
        lambda home: (home / MANIFEST).write_text("[]"),
        lambda home: (home / MANIFEST).write_text('{"files": {"a.txt": {"bytes": 1}}}'),
        lambda home: (home / MANIFEST).write_text('{"files": {"../a.txt": {}}}'),
    ],
)
def test_a_damaged_step_is_found_set_aside_and_made_again(store, damage):
    commit(store)
    damage(store.home(KEY))
    with pytest.raises(StoreError, match="corrupt") as caught:
        store.read_lines(KEY, "a.txt")
    assert "Run again" in str(caught.value)
    assert not store.is_done(KEY)
    assert len(list((store.root / "quarantine").iterdir())) == 1
    commit(store)
    assert store.read_lines(KEY, "a.txt") == ["one", "two"]


def test_a_home_without_manifest_is_not_done_and_gives_way(store):
    store.home(KEY).mkdir(parents=True)
    (store.home(KEY) / "junk").write_text("x")
    assert not store.is_done(KEY)
    commit(store)
    assert store.is_done(KEY)


def test_arrays_of_objects_are_refused(store):
    with store.draft(KEY, {}) as draft:
        np.save(draft / "a.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(StoreError, match="pickle"):
        store.read_array(KEY, "a.npy")


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "/etc/passwd", "../x", "a\0b", ".hidden"])
def test_names_cannot_lead_out_of_the_store(store, name):
    commit(store)
    for call in (store.home, store.is_done, store.recipe_path, store.read_recipe):
        with pytest.raises(StoreError, match="neither a key nor a file name"):
            call(name)
    with pytest.raises(StoreError, match="neither a key nor a file name"):
        store.file(KEY, name)
    with pytest.raises(StoreError), store.draft(name, {}):
        pass


def test_a_recipe_waits_for_its_worker(store):
    store.write_recipe({"key": KEY, "label": "x"})
    assert store.read_recipe(KEY) == {"key": KEY, "label": "x"}
    store.recipe_path(KEY).write_text("{")
    with pytest.raises(StoreError, match="no readable recipe"):
        store.read_recipe(KEY)
    with pytest.raises(StoreError, match="no readable recipe"):
        store.read_recipe("b" * 64)


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def broken(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="No space"):
        write_bytes(path, b"new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    monkeypatch.undo()
    write_text(path, "new")
    assert path.read_text() == "new"


def test_json_has_no_nan_and_tables_have_unix_lines(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", float("nan"))
    assert not (tmp_path / "a.json").exists()
    write_csv(tmp_path / "a.csv", ("x", "y"), [(1, "a,b"), (2, 'say "c"')])
    assert (tmp_path / "a.csv").read_bytes() == b'x,y\n1,"a,b"\n2,"say ""c"""\n'


def test_a_studys_folder_and_its_events(tmp_path):
    folder = StudyFolder(tmp_path, "mine")
    folder.log_event({"event": "a"})
    folder.log_event({"event": "b"})
    assert [json.loads(x)["event"] for x in folder.events.read_text().splitlines()] == ["a", "b"]
    assert folder.selection("run", 2) == tmp_path / "mine/selections/run/cycle_2.txt"
    assert folder.store.root == tmp_path / ".store"


def test_done_steps_are_found_together_as_one_by_one(store, tmp_path):
    keys = [letter * 64 for letter in "abcdef"]
    assert store.done(keys) == set()
    for key in keys[:3]:
        commit(store, key)
    (store.home(keys[1]) / MANIFEST).unlink()
    store.home(keys[2]).rename(tmp_path / "elsewhere")
    store.home(keys[2]).symlink_to(tmp_path / "elsewhere")
    store.home(keys[3]).symlink_to(tmp_path / "nowhere")
    store.home(keys[4]).write_text("no folder")
    assert store.done(keys) == {key for key in keys if store.is_done(key)} == {keys[0], keys[2]}
    assert store.done(keys[:1]) == {keys[0]}
