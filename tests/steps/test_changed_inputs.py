"""What a step reads is what its key says, at the moment it is read; else nothing is committed."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from factories.folder_tree import folder_tree, save_pair
from factories.performed_steps import CPU, Performed, study
from safetensors.torch import load_file, save_file

from alspec import plugins
from alspec.datasets.base import Split
from alspec.datasets.files.paired import PairedFiles
from alspec.datasets.files.unchanged import WatchedFiles
from alspec.datasets.open import open_dataset
from alspec.errors import AlspecError, InputError, StepFailed
from alspec.models.nets.build import build_segmentor
from alspec.models.nets.config import model_config
from alspec.plan.expand import expand
from alspec.run.executors.worker import work_on
from alspec.steps import train
from alspec.steps.work import StepContext, WorkerContext
from alspec.store import hashing
from alspec.store.store import Store

TRAINING = {"epochs": 2, "batch_size": 2, "lr": 0.05, "crop": [24, 40]}
KINDS = ("train", "evaluate", "acquire")


class Case:
    """A study on files, done once; each trial does one of its steps again while things change."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.pretrained = root / "backbone.safetensors"
        dataset = folder_tree(root / "data")
        model = build_segmentor(model_config("deeplabv3plus_tiny", 3), mc_dropout=False)
        save_file(model.backbone.state_dict(), self.pretrained)
        whole = study(
            datasets=[dataset], methods=["entropy"], baselines=[], training=TRAINING,
            pretrained=str(self.pretrained),
        )  # fmt: skip
        self.plan = expand(whole)
        self.done = Performed(root / "store", self.plan)
        self.done.perform_all()
        sets = self.plan.runs[0].sets
        self.step = {
            "train": self.plan.steps[sets[0].train],
            "evaluate": self.plan.steps[sets[0].evaluate],
            "acquire": self.plan.steps[sets[1].acquire],
        }

    def artifact(self, kind: str, store: Store) -> bytes:
        names = {
            "train": "weights.safetensors", "evaluate": "confusion.npy", "acquire": "selected.txt",
        }  # fmt: skip
        return (store.home(self.step[kind].key) / names[kind]).read_bytes()

    def again(self, kind: str, folder: Path, change, moment: int) -> tuple[Store, str, int]:
        """Do a step anew, with a change at the n-th read or progress.

        Returns:
            The store, the error if there was one, and how many moments there were.
        """
        step = self.step[kind]
        store = Store(folder / "store")
        store.root.mkdir(parents=True)
        for key in step.inputs.values():
            shutil.copytree(self.done.store.home(key), store.home(key))
        passed = 0

        def pass_one(*_: object) -> None:
            nonlocal passed
            if passed == moment:
                change()
            passed += 1

        pass_one()
        with mock.patch("os.fsync"), reads(pass_one):
            try:
                work_on(step, store, WorkerContext(CPU), pass_one)
            except AlspecError as err:
                return store, str(err), passed
        return store, "", passed


@contextmanager
def reads(pass_one):
    """Calls a function before and after each reading of a file."""
    patched = []
    for owner, name in (
        (PairedFiles, "read_image"), (PairedFiles, "read_mask"), (train, "build_segmentor"),
        (PairedFiles, "fingerprint"),
    ):  # fmt: skip
        before = getattr(owner, name)

        def around(*args, before=before, **kwargs):
            pass_one()
            found = before(*args, **kwargs)
            pass_one()
            return found

        patched.append(mock.patch.object(owner, name, around))
    for each in patched:
        each.start()
    try:
        yield
    finally:
        for each in patched:
            each.stop()


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    return Case(tmp_path_factory.mktemp("case"))


@pytest.fixture
def restored(case):
    """The case's files, put back after the test; a function that puts them back at once."""
    saved = case.root / "saved"
    if not saved.exists():
        shutil.copytree(case.root / "data", saved)
        shutil.copy(case.pretrained, case.root / "saved.safetensors")

    def restore() -> None:
        shutil.rmtree(case.root / "data")
        shutil.copytree(saved, case.root / "data")
        shutil.copy(case.root / "saved.safetensors", case.pretrained)

    yield restore
    restore()


def other_weights(case):
    """The same names and shapes, other values, in the same place."""
    tensors = load_file(case.pretrained)
    new = case.pretrained.with_suffix(".new")
    save_file({name: tensor + 1 for name, tensor in tensors.items()}, new)
    new.replace(case.pretrained)


def other_pool(case):
    """Every image and mask of the pool rewritten: the same names, sizes and times."""
    rewrite(case.root / "data", "images", "masks")


def other_validation(case):
    rewrite(case.root / "data", "val/images", "val/masks")


def rewrite(root, *folders):
    for path in sorted(path for folder in folders for path in (root / folder).iterdir()):
        times = path.stat()
        data = bytearray(path.read_bytes())
        pixels = np.frombuffer(bytes(data[1100:]), np.uint8)
        changed = (pixels + 1) % 3 if path.parent.name == "masks" else 255 - pixels
        data[1100:] = changed.tobytes()
        path.write_bytes(bytes(data))
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def more_validation(case):
    save_pair(case.root / "data", "val/images", "val/masks", 77, seed=5)


def fewer_in_the_pool(case):
    for folder in ("images", "masks"):
        (case.root / "data" / folder / "a_007.bmp").unlink()


CHANGES = {
    "weights": other_weights,
    "pool": other_pool,
    "validation": other_validation,
    "more validation": more_validation,
    "fewer in the pool": fewer_in_the_pool,
}


@pytest.mark.parametrize(
    ("kind", "change", "named"),
    [
        ("train", "weights", "backbone.safetensors"),
        ("train", "pool", "images/a_00"),
        ("train", "fewer in the pool", "data/"),
        ("evaluate", "validation", "val/"),
        ("evaluate", "more validation", "val/"),
        ("acquire", "pool", "images/a_00"),
        ("acquire", "fewer in the pool", "data/"),
    ],
)
def test_a_change_before_the_first_read_fails_the_step_and_names_the_file(
    case, restored, tmp_path, kind, change, named
):
    """Committed under the planned key before: only the plan had hashed what it listed."""
    same_size = change in ("pool", "validation")
    moment = 2 if same_size else 0  # after the listing, before the first image; before the step
    store, error, _ = case.again(kind, tmp_path, lambda: CHANGES[change](case), moment)
    assert named in error, error
    assert "Run again" in error or "run again" in error
    assert not store.is_done(case.step[kind].key)
    assert not list(store.folders.drafts.iterdir())


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_changed_gives_the_same_bytes(case, tmp_path, kind):
    store, error, moments = case.again(kind, tmp_path, lambda: None, -1)
    assert error == ""
    assert moments > 6
    assert case.artifact(kind, store) == case.artifact(kind, case.done.store)


READ = {
    "train": ["weights", "pool", "fewer in the pool", "validation"],
    "evaluate": ["validation", "more validation", "pool"],
    "acquire": ["pool", "fewer in the pool", "weights"],
}


def _trials(count):
    """Steps, changes, moments; from the first listing on: what lay there before is the plan's."""
    rng = np.random.default_rng(12)
    for number in range(count):
        kind = KINDS[number % 3]
        change = READ[kind][int(rng.integers(len(READ[kind])))]
        yield kind, change, int(rng.integers(1, 16))


def wrong_artifacts(case, restored, folder, trials):
    """Trials that committed something else than the planned input gives."""
    wrong = []
    failures = 0
    for number, (kind, change, moment) in enumerate(trials):
        place = folder / str(number)
        store, error, _ = case.again(kind, place, lambda c=change: CHANGES[c](case), moment)
        failures += bool(error)
        committed = store.is_done(case.step[kind].key)
        if committed and case.artifact(kind, store) != case.artifact(kind, case.done.store):
            wrong.append((kind, change, moment))
        restored()
        shutil.rmtree(place)
    return wrong, failures


def test_changes_at_random_moments_commit_nothing_wrong(case, restored, tmp_path):
    wrong, failures = wrong_artifacts(case, restored, tmp_path, _trials(12))
    assert wrong == []
    assert failures


@pytest.mark.slow
def test_200_changes_at_random_moments_commit_nothing_wrong(case, restored, tmp_path):
    wrong, failures = wrong_artifacts(case, restored, tmp_path, _trials(200))
    assert wrong == []
    assert 20 < failures < 200


def test_a_plugin_of_another_version_is_refused(case, tmp_path):
    entropy = plugins.load("alspec.acquisition", "entropy")
    with mock.patch.object(entropy, "version", 2):
        store, error, _ = case.again("acquire", tmp_path, lambda: None, -1)
    assert "version 1 was planned, 2 is installed" in error
    assert not store.is_done(case.step["acquire"].key)


def test_a_config_that_changes_while_it_runs_is_refused(case, monkeypatch):
    step = case.step["train"]
    states = iter([None, InputError.at("model.py", "changed since it was planned; run again")])

    def runnable(*_):
        said = next(states)
        if said:
            raise said

    monkeypatch.setattr(train, "runnable_config", runnable)
    with pytest.raises(InputError, match="changed since it was planned"):
        train.config_of(step)


def test_a_file_changed_within_the_clocks_grain_is_hashed_again(tmp_path, monkeypatch):
    """Two writes in one tick of the clock leave the same times."""
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"one")
    state = hashing._state_of(path)
    monkeypatch.setattr(hashing, "_state_of", lambda _: state)
    sha256 = hashing.sha256_of(path)

    def swap():
        with hashing.as_planned(path, sha256):
            path.write_bytes(b"two")

    with pytest.raises(InputError, match="it changed since the study was planned"):
        swap()


def test_a_dataset_that_cannot_watch_its_files_is_listed_again_at_the_end(
    performed, tmp_path, monkeypatch
):
    step = performed.plan.steps[performed.plan.runs[0].sets[0].evaluate]
    context = StepContext(step, performed.store, tmp_path, WorkerContext(CPU), lambda *_: None)
    listed = iter(["planned", "another"])

    def use(context):
        with context.planned_dataset(Split.VAL):
            pass

    monkeypatch.setattr("alspec.steps.work.split_identity", lambda *_: next(listed))
    monkeypatch.setitem(step.params, "dataset", "planned")
    with pytest.raises(StepFailed, match="changed since the study was planned"):
        use(context)


def test_what_changed_last_is_named(tmp_path):
    spec = folder_tree(tmp_path)
    dataset = open_dataset(study(datasets=[spec]).datasets[0])
    files = dataset.watch(Split.POOL)
    (tmp_path / "images" / "new.bmp").write_bytes(b"1")
    assert files.last_changed().startswith(f"{tmp_path}/images, at ")
    assert WatchedFiles().last_changed() == ""
