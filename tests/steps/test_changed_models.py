"""A config, a checkpoint or a plugin that changes while a step works commits nothing wrong."""

from __future__ import annotations

import shutil
import sys
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from factories.folder_tree import folder_tree
from factories.packages import forget, installed
from factories.performed_steps import CPU, Performed, study
from safetensors.torch import load_file, save_file

from alspec.errors import AlspecError
from alspec.models.nets.build import build_segmentor
from alspec.models.nets.config import model_config
from alspec.plan.expand import expand
from alspec.run.executors.worker import work_on
from alspec.steps import acquire, train
from alspec.steps.work import WorkerContext
from alspec.store.store import Store

CONFIG = """
model = dict(type='EncoderDecoder',
    backbone=dict(type='ResNet', depth=18, base_channels=8, stem_channels=8, strides=(1, 2, 1, 1),
        dilations=(1, 1, 2, 4), norm_cfg=dict(type='BN'), contract_dilation=True),
    decode_head=dict(type='FCNHead', in_channels=64, in_index=3, channels=8, num_convs=1,
        concat_input=False, num_classes=3, dropout_ratio=0.1, norm_cfg=dict(type='BN')),
    train_cfg=dict(), test_cfg=dict(mode='whole'))
"""
PLUGIN = """
from alspec.acquisition.base import Family, Need
from alspec.spec.fields import Frozen


class Bright:
    name = "bright"
    family = Family.SINGLE
    version = 1
    needs = frozenset({Need.PROBABILITIES})

    class Params(Frozen):
        pass

    def __init__(self, params):
        pass

    def score(self, outputs):
        return 1.0 * outputs.log_p_BCHW[:, 0].mean(dim=(1, 2))
"""
ARTIFACTS = {"train": "weights.safetensors", "acquire": "selected.txt"}


class Case:
    """A study with a config, a checkpoint and a plugin of its own, done once."""

    def __init__(self, root: Path) -> None:
        self.root, self.config, self.checkpoint = root, root / "own.py", root / "own.safetensors"
        self.config.write_text(CONFIG)
        segmentor = build_segmentor(model_config(None, 3, self.config), mc_dropout=False)
        save_file(segmentor.state_dict(), self.checkpoint)
        whole = study(
            datasets=[folder_tree(root / "data")],
            methods=["bright"],
            baselines=[],
            training={"epochs": 2, "batch_size": 2, "lr": 0.05, "crop": [24, 40]},
            model={"config": str(self.config), "checkpoint": str(self.checkpoint)},
        )
        plan = expand(whole, trust_config=True)
        self.done = Performed(root / "store", plan)
        self.done.perform_all()
        first, second = plan.runs[0].sets
        self.steps = {"train": plan.steps[first.train], "acquire": plan.steps[str(second.acquire)]}
        self.files = (self.config, self.checkpoint, root / "bright.py")
        self.saved = {path: path.read_bytes() for path in self.files}

    def restore(self) -> None:
        for path, content in self.saved.items():
            path.write_bytes(content)
        reload_plugin()

    def change(self, what: str) -> None:
        """Replace one file by another that works as well, and gives other results."""
        if what == "config":
            self.config.write_text(CONFIG.replace("dropout_ratio=0.1", "dropout_ratio=0.5"))
        elif what == "checkpoint":
            tensors = load_file(self.checkpoint)
            new = self.checkpoint.with_suffix(".new")
            save_file({n: t + 1 if t.is_floating_point() else t for n, t in tensors.items()}, new)
            new.replace(self.checkpoint)
        else:
            other = PLUGIN.replace("1.0 *", "-1.0 *").replace("version = 1", "version = 22")
            (self.root / "bright.py").write_text(other)
            reload_plugin()

    def again(self, kind: str, what: str, moment: int, folder: Path) -> tuple[bytes, str]:
        """Do a step anew with a change at a moment; its artifact, or why it failed."""
        step, store, passed = self.steps[kind], Store(folder), 0
        store.root.mkdir(parents=True)
        for key in step.inputs.values():
            shutil.copytree(self.done.store.home(key), store.home(key))

        def pass_one(*_: object) -> None:
            nonlocal passed
            passed += 1
            if passed == moment:
                self.change(what)

        try:
            with mock.patch("os.fsync"), around(pass_one):
                work_on(step, store, WorkerContext(CPU), pass_one)
        except AlspecError as err:
            assert not store.is_done(step.key)
            return b"", str(err)
        finally:
            self.restore()
        return (store.home(step.key) / ARTIFACTS[kind]).read_bytes(), ""

    def planned(self, kind: str) -> bytes:
        return (self.done.store.home(self.steps[kind].key) / ARTIFACTS[kind]).read_bytes()


def reload_plugin() -> None:
    """What a worker that starts now would load."""
    sys.modules.pop("bright", None)
    forget()


def around(pass_one) -> ExitStack:
    """Calls a function around what reads a model's files, and around the scoring."""
    stack = ExitStack()
    places = (
        (train, "runnable_config"), (train, "model_config"), (train, "build_segmentor"),
        (train, "fit"), (acquire, "every_nth"), (acquire, "_offered"), (acquire, "_highest"),
        (acquire, "over_images"),
    )  # fmt: skip
    for owner, name in places:
        before = getattr(owner, name)

        def called(*args, before=before, **kwargs):
            pass_one()
            try:
                return before(*args, **kwargs)
            finally:
                pass_one()

        stack.enter_context(mock.patch.object(owner, name, called))
    return stack


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    with installed(root, "bright", {"bright": "Bright"}, PLUGIN):
        yield Case(root)


def wrong_artifacts(case, folder, count):
    """Trials that committed something else than what was planned, and how many failed."""
    rng = np.random.default_rng(3)
    wrong, failures = [], 0
    for number in range(count):
        what = ("config", "checkpoint", "plugin")[number % 3]
        kind, last = ("acquire", 6) if what == "plugin" else ("train", 16)
        moment = int(rng.integers(0, last))
        if not moment:
            case.change(what)  # before the step begins
        found, error = case.again(kind, what, moment, folder / str(number))
        failures += bool(error)
        if not error and found != case.planned(kind):
            wrong.append((kind, what, moment))
        shutil.rmtree(folder / str(number))
    return wrong, failures


def test_what_is_replaced_before_a_step_is_refused(case, tmp_path):
    for number, (kind, what, said) in enumerate(
        [
            ("train", "config", "own.py changed since it was planned"),
            ("train", "checkpoint", "own.safetensors"),
            ("acquire", "plugin", "version 1 was planned, 22 is installed"),
        ]
    ):
        case.change(what)
        found, error = case.again(kind, what, 0, tmp_path / str(number))
        assert said in error
        assert found == b""


@pytest.mark.slow
def test_changes_at_random_moments_commit_nothing_wrong(case, tmp_path):
    wrong, failures = wrong_artifacts(case, tmp_path, 12)
    assert wrong == []
    assert failures


@pytest.mark.nightly
def test_200_changes_at_random_moments_commit_nothing_wrong(case, tmp_path):
    wrong, failures = wrong_artifacts(case, tmp_path, 200)
    assert wrong == []
    assert 40 < failures < 200
