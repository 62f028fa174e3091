"""Damaged artifacts are found, set aside and made again by the run that finds them."""

from __future__ import annotations

import os
import random
import shutil

import pytest
from fakes.trainer import FakeTrainer, Heard, results_of, run_study, tiny_plan

from alspec.errors import StoreError
from alspec.plan.kinds import KINDS
from alspec.plan.kinds.train import WEIGHTS
from alspec.run.executors.base import Outcome
from alspec.store.manifest import MANIFEST, check_artifact
from alspec.store.store import Store
from alspec.store.study_folder import StudyFolder
from alspec.system.processes import here

FEW, MANY = 1, 10
NAMES = {
    "pool": ("pool.csv", "pool.json"),
    "acquire": ("selected.txt", "labelled.txt", "acquire.json"),
    "train": (WEIGHTS, "model.json", "train.json", "epochs.csv"),
    "evaluate": ("confusion.npy", "evaluate.json"),
}
FILES = [(kind, name) for kind, names in NAMES.items() for name in (*names, MANIFEST)]


def truncated(path, rng):
    data = path.read_bytes()
    path.write_bytes(data[: rng.randrange(len(data))])


def flipped(path, rng):
    data = bytearray(path.read_bytes())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def zeroed(path, rng):
    path.write_bytes(bytes(path.stat().st_size))


def missing(path, rng):
    path.unlink()


def linked(path, rng):
    aside = path.parent.parent / f"{path.parent.name[:8]}-{path.name}"
    path.rename(aside)
    path.symlink_to(aside)


def swapped(path, rng):
    other = next(p for p in sorted(path.parent.iterdir()) if p != path)
    ours, theirs = path.read_bytes(), other.read_bytes()
    path.write_bytes(theirs)
    other.write_bytes(ours)


def extra(path, rng):
    path.with_name(f"{path.stem}.copy").write_bytes(path.read_bytes())


def longer(path, rng):
    path.write_bytes(path.read_bytes() + b"\n")


def a_folder(path, rng):
    path.unlink()
    path.mkdir()


OTHERS = (zeroed, missing, linked, swapped, extra, longer, a_folder)


def damages(many):
    return [*[truncated] * many, *[flipped] * many, *OTHERS]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished study, and what it published."""
    work_dir, plan = tmp_path_factory.mktemp("whole"), tiny_plan(keep="all")
    run_study(work_dir, plan)
    return work_dir, plan, results_of(work_dir, plan)


@pytest.fixture
def copied(whole, tmp_path):
    work_dir, plan, results = whole
    shutil.copytree(work_dir, tmp_path, dirs_exist_ok=True)
    return tmp_path, plan, results


def test_all_damages_are_at_least_300():
    assert len(FILES) * len(damages(MANY)) - 2 * len(NAMES) >= 300


@pytest.mark.parametrize("many", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("kind", "name"), FILES)
def test_damage_is_made_again_in_one_run(copied, kind, name, many):
    work_dir, plan, results = copied
    store = StudyFolder(work_dir, plan.study.study).store
    for number, damage in enumerate(damages(many)):
        rng = random.Random(f"{kind} {name} {number}")
        key = rng.choice(keys_of(plan, kind))
        if name == MANIFEST and damage in (missing, a_folder):
            continue  # then the step was never done, as the next test says
        before = len(list((store.root / "quarantine").glob("*")))
        damage(store.home(key) / name, rng)
        summary, told = run_study(work_dir, plan)
        case = f"{damage.__name__} {kind}/{name}"
        assert summary.executed == [key], case
        assert not summary.failed, case
        assert results_of(work_dir, plan) == results, case
        assert len(list((store.root / "quarantine").iterdir())) == before + 1, case
        assert len(told) == 1, case
        store.verify(key)


@pytest.mark.parametrize("name", NAMES["train"])
def test_damage_of_large_files_is_found_by_their_time(copied, monkeypatch, name):
    monkeypatch.setattr("alspec.store.manifest.HASHED_BYTES", 0)
    work_dir, plan, results = copied
    store = StudyFolder(work_dir, plan.study.study).store
    for damage in damages(FEW):
        key = keys_of(plan, "train")[0]
        damage(store.home(key) / name, random.Random(name))
        summary, _ = run_study(work_dir, plan)
        assert summary.executed == [key], damage.__name__
        assert results_of(work_dir, plan) == results, damage.__name__


def test_large_files_that_were_copied_are_hashed_once(copied, monkeypatch):
    monkeypatch.setattr("alspec.store.manifest.HASHED_BYTES", 0)
    work_dir, plan, _ = copied
    store = StudyFolder(work_dir, plan.study.study).store
    hashed = []

    def looked_at(path, described, **how):
        if how.get("hashed", True):
            hashed.append(path)
        return check_artifact(path, described, **how)

    monkeypatch.setattr("alspec.store.manifest.check_artifact", looked_at)
    key = keys_of(plan, "train")[0]
    weights, manifest = store.home(key) / WEIGHTS, store.home(key) / MANIFEST
    for path in store.home(key).iterdir():
        os.utime(path, (4, 4))
    os.utime(manifest, (5, 5))
    os.utime(weights, (6, 6))
    for expected in ([weights], []):
        hashed.clear()
        store.verify(key)
        assert hashed == expected
    assert manifest.stat().st_mtime > 6


@pytest.mark.parametrize("damage", ["moved", "twice", "another", "spaced"])
def test_a_manifest_that_says_the_same_in_other_words_is_damaged(copied, damage):
    work_dir, plan, results = copied
    store = StudyFolder(work_dir, plan.study.study).store
    key = keys_of(plan, "evaluate")[0]
    path = store.home(key) / MANIFEST
    text = path.read_text()
    (line,) = [line for line in text.splitlines(keepends=True) if line.startswith(' "sha256"')]
    rest = text.replace(line, "")
    path.write_text(
        {
            "moved": rest.replace("{\n", "{\n" + line, 1),
            "twice": text.replace(line, line + line),
            "another": text.replace(line, line.replace(line[12:20], "01234567")),
            "spaced": text.replace(line, line + " "),
        }[damage]
    )
    summary, told = run_study(work_dir, plan)
    assert summary.executed == [key]
    assert "changed after it was written" in told[0]
    assert results_of(work_dir, plan) == results


def keys_of(plan, kind):
    return [key for key, step in plan.steps.items() if step.kind is KINDS[kind]]


@pytest.mark.parametrize("kind", NAMES)
def test_a_step_without_manifest_is_made_again(copied, kind):
    work_dir, plan, results = copied
    store = StudyFolder(work_dir, plan.study.study).store
    key = keys_of(plan, kind)[0]
    (store.home(key) / MANIFEST).unlink()
    assert run_study(work_dir, plan)[0].executed == [key]
    assert results_of(work_dir, plan) == results


@pytest.mark.parametrize("kind", ["acquire", "train", "evaluate"])
def test_whole_steps_in_each_others_place_are_made_again(copied, kind):
    work_dir, plan, results = copied
    store = StudyFolder(work_dir, plan.study.study).store
    one, other = keys_of(plan, kind)[:2]
    between = work_dir / "between"
    store.home(one).rename(between)
    store.home(other).rename(store.home(one))
    between.rename(store.home(other))
    summary, told = run_study(work_dir, plan)
    assert set(summary.executed) == {one, other}
    assert all("describes the step" in words for words in told)
    assert results_of(work_dir, plan) == results


@pytest.mark.parametrize("dangling", [False, True])
def test_a_link_in_a_steps_place_is_not_a_step(copied, dangling):
    work_dir, plan, results = copied
    store = StudyFolder(work_dir, plan.study.study).store
    key = keys_of(plan, "train")[0]
    store.home(key).rename(work_dir / "elsewhere")
    store.home(key).symlink_to(work_dir / ("nowhere" if dangling else "elsewhere"))
    assert run_study(work_dir, plan)[0].executed == [key]
    assert results_of(work_dir, plan) == results
    assert not store.home(key).is_symlink()


class Damaging(FakeTrainer):
    """Damages an artifact of a step's input just before the step reads it."""

    def __init__(self, root, key, name):
        super().__init__(root)
        self.target, self.reads = self.root / key / name, key

    def submit(self, key, devices=1):
        if self.reads in self.stored(key) and self.reads:
            zeroed(self.target, None)
            self.reads = ""
        super().submit(key)

    def stored(self, key):
        return Store(self.root).read_recipe(key)["recipe"]["inputs"].values()


@pytest.mark.parametrize(
    ("kind", "name"), [("pool", "pool.csv"), ("acquire", "labelled.txt"), ("train", WEIGHTS)]
)
def test_damage_that_a_step_meets_at_work_is_made_again_at_once(whole, tmp_path, kind, name):
    _, plan, results = whole
    key = plan.runs[0].sets[0].acquire if kind == "acquire" else keys_of(plan, kind)[0]
    executor, observer = Damaging(tmp_path / ".store", key, name), Heard()
    summary, _ = run_study(tmp_path, plan, executor=executor, observer=observer)
    assert not summary.failed
    assert summary.executed.count(key) == 2
    assert any(outcome is Outcome.AGAIN for outcome, _ in observer.ends)
    assert results_of(tmp_path, plan) == results


def test_damage_that_the_report_meets_is_made_again_at_once(whole, tmp_path):
    _, plan, results = whole
    key = keys_of(plan, "evaluate")[0]

    class DamagingLast(FakeTrainer):
        """Damages what the report reads when every step is done, once."""

        whole = True

        def close(self):
            if self.whole:
                zeroed(self.root / key / "confusion.npy", None)
            self.whole = False

    summary, told = run_study(tmp_path, plan, executor=DamagingLast(tmp_path / ".store"))
    assert summary.executed.count(key) == 2
    assert len(told) >= 1
    assert results_of(tmp_path, plan) == results


def test_a_step_whose_inputs_stay_damaged_fails_once_more_and_stops(whole, tmp_path):
    _, plan, _ = whole
    key = keys_of(plan, "pool")[0]

    class Always(Damaging):
        def submit(self, other, devices=1):
            self.reads = key
            super().submit(other)

    summary, _ = run_study(tmp_path, plan, executor=Always(tmp_path / ".store", key, "pool.csv"))
    assert summary.failed
    assert all("corrupt" in message for message in summary.failed.values())


def test_damage_that_cannot_be_set_aside_is_an_error_that_says_so(copied, monkeypatch):
    work_dir, plan, _ = copied
    store = StudyFolder(work_dir, plan.study.study).store
    key = keys_of(plan, "evaluate")[0]
    zeroed(store.home(key) / "confusion.npy", None)

    def refused(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.rename", refused)
    with pytest.raises(StoreError, match=f"remove .*{key}"):
        run_study(work_dir, plan)


def test_what_a_killed_writer_left_beside_a_manifest_is_no_damage(copied):
    work_dir, plan, _ = copied
    store = StudyFolder(work_dir, plan.study.study).store
    home = store.home(keys_of(plan, "train")[0])
    left = home / f".{MANIFEST}.0123abcd-{os.getpid()}-0123abcd"
    left.write_text("half")
    assert run_study(work_dir, plan)[0].executed == []
    assert left.exists()  # of another machine, so it may still be at it
    gone = home / f".{MANIFEST}.{here()}-{2**22 + 1}-0123abcd"
    left.rename(gone)
    assert run_study(work_dir, plan)[0].executed == []
    assert not gone.exists()
