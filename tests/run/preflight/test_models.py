"""Weights are tried before any training: what is wrong is told at its place in the spec."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml
from factories.toy import TOY
from fakes.trainer import FakeTrainer, drawn

from alspec.errors import InputError
from alspec.plan.expand import expand
from alspec.plan.kinds import TRAIN
from alspec.run.preflight import models as tried
from alspec.run.preflight.models import check_models
from alspec.spec.model import Study
from alspec.store.store import Store

SHIPPED = "configs/pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py"


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    """What went well in one test is not remembered in another."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


class Payload:
    """Makes the canary's folder when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = str(canary)

    def __reduce__(self) -> Any:
        return os.mkdir, (self.canary,)


def of_another_model(path, canary):
    import torch

    torch.save({"conv1.weight": torch.zeros(3, 3)}, path)


def unsafe(path, canary):
    import torch

    torch.save({"state_dict": {}, "message_hub": Payload(canary)}, path)


def text(path, canary):
    path.write_text("no weights\n")


def cut(path, canary):
    of_another_model(path, canary)
    path.write_bytes(path.read_bytes()[:-40])


BAD = {
    unsafe: "it asks for `posix.mkdir`",
    of_another_model: "does not fit ResNet: ",
    text: "cannot be read as weights",
    cut: "cannot be read as weights",
}


def spec_of(path, **changes):
    path.write_text(yaml.safe_dump({**TOY, **changes}, sort_keys=False))
    return path


@pytest.mark.parametrize(
    ("command", "make"),
    [
        pytest.param(*case, marks=() if case == ("run", unsafe) else pytest.mark.slow)
        for case in product(("check", "run"), BAD)
    ],
)  # each loads torch in a process of its own; code in weights is the worst of them
def test_bad_weights_are_refused_before_training(cli, tmp_path, command, make, monkeypatch):
    monkeypatch.chdir(tmp_path)
    canary = tmp_path / "canary"
    make(tmp_path / "weights.pth", canary)
    spec = spec_of(tmp_path / "study.yaml", pretrained="weights.pth")
    code, out, err = cli(command, spec)
    assert (code, out) == (2, "")
    line = 1 + spec.read_text().splitlines().index("pretrained: weights.pth")
    said = " ".join(err.split())
    assert f"study.yaml:{line}:" in said
    assert "weights.pth" in said
    assert BAD[make].replace(" ", "") in "".join(err.split())
    assert "Traceback" not in err
    assert not canary.exists()
    assert not list((tmp_path / "work_dirs").glob(".store/*/manifest.json"))


def steps_of(**changes):
    return expand(Study.model_validate({**TOY, **changes})).steps.values()


@pytest.mark.slow
def test_a_checkpoint_is_told_at_its_own_place(tmp_path):
    path = tmp_path / "whole.pth"
    of_another_model(path, None)
    model = {"config": SHIPPED, "checkpoint": str(path)}
    with pytest.raises(InputError, match="does not fit EncoderDecoder") as caught:
        check_models(steps_of(model=model))
    (problem,) = caught.value.problems
    assert problem.loc == ("model", "checkpoint")


@pytest.mark.slow
def test_good_weights_are_tried_once_and_remembered_by_their_bytes(tmp_path, monkeypatch):
    made = """
import sys, torch
from alspec.models.nets.build import build_segmentor
from alspec.models.nets.config import model_config
torch.manual_seed(0)
model = build_segmentor(model_config("deeplabv3plus_tiny", 19), mc_dropout=False)
torch.save(model.backbone.state_dict(), sys.argv[1])
"""
    path, store = tmp_path / "weights.pth", Store(tmp_path / "store")
    subprocess.run([sys.executable, "-W", "ignore", "-c", made, path], check=True)
    methods = ["random", {"name": "bald", "passes": 2}]
    steps = steps_of(pretrained=str(path), methods=methods)
    notes: list[str] = []
    assert check_models(steps, store, notes.append) == 4, "every arm: s4GAN and dropout layers"
    layout = "in the layout of torchvision, timm and MMSegmentation"
    times = [note for note in notes if "one training step on two images" in note]
    assert len(times) == 4
    assert [note for note in notes if note not in times] == [
        f"{path}: all 100 weights of ResNet matched {layout}"
    ]
    monkeypatch.setattr(tried, "_Trial", lambda steps: pytest.fail("tried again"))
    assert check_models(steps, store, notes.append) == 0
    assert sorted(notes[: len(notes) // 2]) == sorted(notes[len(notes) // 2 :]), "remembered too"
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(pytest.fail.Exception, match="tried again"):
        check_models(steps_of(pretrained=str(path), methods=methods), store)


@pytest.mark.parametrize("command", ["check", "run"])
def test_what_was_found_in_the_weights_is_said(cli, tmp_path, command, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.pth").write_bytes(b"1")
    spec = spec_of(tmp_path / "study.yaml", pretrained="weights.pth")
    found = "weights.pth: all 100 weights of ResNet matched"

    class Trial:
        is_over = True

        def __init__(self, asked):
            self.answers = lambda: [([], [found])] * len(asked)

        def close(self):
            pass

    monkeypatch.setattr(tried, "_Trial", Trial)
    monkeypatch.setattr("alspec.run.executors.local.LocalExecutor", FakeTrainer)
    monkeypatch.setattr("alspec.report.album.Album.draw", drawn)
    _, _, err = cli(command, spec)
    assert found in " ".join(err.split())
    if command == "run":
        events = (tmp_path / "work_dirs" / TOY["study"] / "events.jsonl").read_text().splitlines()
        notes = [json.loads(event) for event in events if '"note"' in event]
        assert [note["message"] for note in notes] == [found]


def test_models_without_weights_start_no_process(monkeypatch):
    monkeypatch.setattr(tried, "_Trial", lambda steps: pytest.fail("tried"))
    assert check_models(steps_of()) == 0
    with pytest.raises(pytest.fail.Exception):
        check_models(steps_of(model={"config": SHIPPED}))


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import os; os.kill(os.getpid(), 9)", "ended by SIGKILL: it may need more memory"),
        ("raise SystemExit('no torch here')", r"could not be tried \(no torch here\)"),
    ],
)
def test_a_process_that_breaks_is_a_problem_of_the_files(tmp_path, monkeypatch, code, words):
    path = tmp_path / "weights.pth"
    path.write_bytes(b"1")
    python = tmp_path / "python"
    python.write_text(f"#!{sys.executable}\n{code}\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(InputError, match=words) as caught:
        check_models(steps_of(pretrained=str(path)))
    assert caught.value.problems[0].loc == ("pretrained",)


@pytest.mark.slow
def test_the_asking_process_never_loads_torch(tmp_path):
    path = tmp_path / "weights.pth"
    path.write_text("none")
    spec = spec_of(tmp_path / "study.yaml", pretrained=str(path))
    asked = f"""
import sys, json
sys.argv = ["alspec", "check", {str(spec)!r}]
from alspec.cli.main import main
try:
    main()
except SystemExit as ended:
    print(json.dumps([ended.code, "torch" in sys.modules]))
"""
    ended = subprocess.run(
        [sys.executable, "-c", asked], capture_output=True, text=True, check=True
    )
    assert json.loads(ended.stdout) == [2, False]


def test_only_trainings_are_tried():
    assert check_models(steps_of()) == 0, "a built-in model without files of its own"
    others = [step for step in steps_of(pretrained=__file__) if step.kind is not TRAIN]
    assert others
    assert check_models(others, built_in=True) == 0


# ---- every model and method is tried


def tried_in(cli, tmp_path, monkeypatch, command="check", **changes):
    monkeypatch.chdir(tmp_path)
    return cli(command, spec_of(tmp_path / "study.yaml", **changes))


@pytest.mark.slow
def test_check_tries_every_arm_once_and_says_how_long_it_took(cli, tmp_path, monkeypatch):
    methods = ["random", "entropy", "coreset", {"name": "bald", "passes": 2}]
    code, _, err = tried_in(cli, tmp_path, monkeypatch, methods=methods)
    said = " ".join(err.split())
    assert code == 0, err
    for arm in ("", " with s4GAN", " with dropout layers", " with s4GAN with dropout layers"):
        words = f"- deeplabv3plus_tiny{arm}, 32 x 64 on the processor: one training step on two"
        assert said.count(words) == 1, arm
    assert said.count("scoring by bald") == 2
    assert said.count("scoring by coreset") == said.count("scoring by entropy") == 2
    monkeypatch.setattr(tried, "_Trial", lambda asked: pytest.fail("tried again"))
    assert cli("check", tmp_path / "study.yaml")[0] == 0


REFUSED = {
    "U-Net": ("unet/unet-s5-d16_fcn_4xb4-40k_drive-64x64.py", "FCNHead has 1 convolution"),
    "HRNet": ("hrnet/fcn_hr18s_4xb2-40k_cityscapes-512x1024.py", "FCNHead has 1 convolution"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", REFUSED)
def test_a_head_that_takes_no_dropout_is_refused_before_any_step(cli, tmp_path, monkeypatch, name):
    config, words = REFUSED[name]
    changes = {"model": {"config": config}, "methods": [{"name": "bald", "passes": 2}]}
    code, _, err = tried_in(cli, tmp_path, monkeypatch, "run", ssl=[False], **changes)
    assert code == 2
    assert words in " ".join(err.split())
    assert not list((tmp_path / "work_dirs").glob(".store/*/manifest.json"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "config",
    [
        "knet/knet-s3_r50-d8_fcn_8xb2-adamw-80k_ade20k-512x512.py",
        "point_rend/pointrend_r50_4xb2-80k_cityscapes-512x1024.py",
    ],
)
def test_heads_made_of_heads_are_tried_with_every_method(cli, tmp_path, monkeypatch, config):
    methods = ["entropy", "equal", "coreset"]
    code, _, err = tried_in(
        cli, tmp_path, monkeypatch, model={"config": config}, methods=methods, ssl=[False]
    )
    assert code == 0, err
    assert "trained by" in err


@pytest.mark.slow
def test_what_the_networks_own_code_raises_is_told_with_its_name(tmp_path, monkeypatch):
    path = tmp_path / "own.py"
    path.write_text(
        "model = dict(type='EncoderDecoder', backbone=dict(type='ResNet', depth=18,\n"
        "  base_channels=8, stem_channels=8), decode_head=dict(type='FCNHead', in_channels=77,\n"
        "  channels=8, num_convs=1, num_classes=3), test_cfg=dict(mode='whole'))\n"
    )
    study = Study.model_validate({**TOY, "model": {"config": str(path)}, "ssl": [False]})
    steps = expand(study, trust_config=True).steps.values()
    with pytest.raises(InputError, match=r"one training step on two images fails \(RuntimeError"):
        check_models(steps)


def test_what_is_wrong_with_models_is_told_before_what_is_wrong_with_data(
    cli, tmp_path, monkeypatch
):
    """Models are tried beside the reading of the data, and may take longer."""
    from alspec.errors import DataError, Problem
    from alspec.run.preflight import data

    class Trial:
        is_over = False

        def __init__(self, asked):
            self.answers = lambda: [([Problem("model", "bad")], [])] * len(asked)

        def close(self):
            closed.append(1)

    def read(specs, progress, note):
        progress("toy", 1)
        raise DataError.at("image", "worse")

    closed: list[int] = []
    monkeypatch.setattr(tried, "_Trial", Trial)
    monkeypatch.setattr(data, "check_data", read)
    code, _, err = tried_in(cli, tmp_path, monkeypatch)
    assert code == 2
    assert "bad" in err
    assert "worse" not in err
    assert closed == [1]
    Trial.is_over = True
    monkeypatch.setattr(data, "check_data", lambda specs, progress, note: progress("toy", 1))
    assert "bad" in tried_in(cli, tmp_path, monkeypatch)[2], "ends the reading"
