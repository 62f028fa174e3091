"""Bad input: told at its place, exit code 2, nothing written; by `check` and by `run` alike."""

from __future__ import annotations

import copy
import re

import numpy as np
import pytest
import yaml
from PIL import Image


def png(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(values, np.uint8)).save(path)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A working folder with a small tree of images and masks."""
    monkeypatch.chdir(tmp_path)
    for split in ("train", "val"):
        for n in range(4):
            png(tmp_path / "tree" / split / f"s_{n}.png", np.full((16, 16, 3), 40 * n))
            png(tmp_path / "tree" / f"{split}annot" / f"s_{n}.png", np.full((16, 16), n % 2))
    return tmp_path


@pytest.fixture
def spec(toy_spec):
    data = copy.deepcopy(toy_spec)
    data["datasets"] = [
        {
            "name": "mine", "kind": "folder", "root": "tree", "image_size": [16, 16],
            "images": "train", "masks": "trainannot", "classes": ["a", "b"],
            "val": {"images": "val", "masks": "valannot"},
        }
    ]  # fmt: skip
    data["budgets"] = [{"name": "b", "unit": "images", "initial": 1, "step": 1, "cycles": 2}]
    return data


def break_spec(key, value):
    def breaks(home, spec):
        here = spec
        *path, last = key.split(".")
        for part in path:
            here = here[int(part)] if part.isdigit() else here[part]
        here[int(last) if last.isdigit() else last] = value

    return breaks


def truncate(home, spec):
    path = home / "tree/train/s_1.png"
    path.write_bytes(path.read_bytes()[:60])


def redraw_mask(home, spec):
    png(home / "tree/valannot/s_2.png", np.full((16, 16), 7))


def shrink_mask(home, spec):
    png(home / "tree/trainannot/s_2.png", np.zeros((8, 16)))


CASES = {
    "unknown key": (break_spec("seedz", [0]), r"study\.yaml:\d+:1: .*`seeds`"),
    "wrong type": (break_spec("training.epochs", "many"), r"study\.yaml:\d+:\d+: .*number"),
    "budget over 100 %": (break_spec("budgets", ["30-30"]), r"study\.yaml:\d+:\d+: .*150 %"),
    "budget over the pool": (
        break_spec("budgets.0.initial", 9), r"study\.yaml:\d+:\d+: .*10 labelled images.*has 4",
    ),
    "missing folder": (break_spec("datasets.0.masks", "nowhere"), r"nowhere"),
    "missing root": (break_spec("datasets.0.root", "none"), r"study\.yaml:\d+:\d+: .*none"),
    "unset variable": (
        break_spec("datasets.0.root", "${ALSPEC_TEST_UNSET}"),
        r"study\.yaml:\d+:\d+: .*ALSPEC_TEST_UNSET",
    ),
    "mask without image": (
        lambda home, spec: (home / "tree/train/s_1.png").unlink(), r"trainannot/s_1\.png",
    ),
    "image without mask": (
        lambda home, spec: (home / "tree/valannot/s_1.png").unlink(), r"val/s_1\.png",
    ),
    "mask outside the classes": (redraw_mask, r"valannot/s_2\.png: .*7"),
    "mask of another size": (shrink_mask, r"trainannot/s_2\.png: .*8x16"),
    "truncated image": (truncate, r"train/s_1\.png: "),
    "unknown method": (
        break_spec("methods.1", "entropie"), r"study\.yaml:\d+:\d+: .*`entropie`.*`entropy`",
    ),
    "unknown kind": (break_spec("datasets.0.kind", "fodler"), r"study\.yaml:\d+:\d+: .*`folder`"),
    "missing weights": (
        break_spec("pretrained", "no.pth"), r"study\.yaml:\d+:\d+: .*no\.pth.*No such file",
    ),
    "missing config": (
        break_spec("model", {"config": "no.py"}), r"study\.yaml:\d+:\d+: .*no\.py",
    ),
    "label of a baseline": (
        break_spec("methods.1", {"name": "entropy", "label": "full"}),
        r"study\.yaml:\d+:\d+: .*`full`",
    ),
    "missing list": (
        break_spec("datasets.0.redundancy", {"kind": "list", "path": "no.txt"}),
        r"study\.yaml:\d+:\d+: .*No such file",
    ),
}  # fmt: skip


def listing(home):
    return {path: path.stat().st_mtime_ns for path in home.rglob("*")}


@pytest.mark.parametrize("command", ["check", "run"])
@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_told_before_anything_is_written(cli, home, spec, case, command):
    breaks, message = CASES[case]
    breaks(home, spec)
    (home / "study.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
    before = listing(home)
    code, out, err = cli(command, "study.yaml")
    assert code == 2, err
    assert re.search(message, " ".join(err.split())), err
    assert out == ""
    assert "Traceback" not in err
    assert listing(home) == before


def test_line_and_column_are_those_of_the_file(cli, home, spec):
    text = yaml.safe_dump(spec, sort_keys=False)
    (home / "study.yaml").write_text(f"# a remark\n{text}seedz: [0]\n")
    _, _, err = cli("check", "study.yaml")
    assert f"study.yaml:{len(text.splitlines()) + 2}:1: " in err


def test_a_line_of_three_digits_is_printed_as_it_is(cli, home, spec):
    lines = "#\n" * 99
    (home / "study.yaml").write_text(f"{lines}study: [0]\n")
    _, _, err = cli("check", "study.yaml")
    assert "study.yaml:100:" in err


def test_all_problems_come_at_once(cli, home, spec):
    redraw_mask(home, spec)
    truncate(home, spec)
    (home / "study.yaml").write_text(yaml.safe_dump(spec))
    _, _, err = cli("check", "study.yaml")
    assert "valannot/s_2.png" in err
    assert "train/s_1.png" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "study.yaml", "--devices", "gpu"], "--devices: `gpu` is not understood"),
        (["run", "study.yaml", "--devices", "cpu:0"], "--devices"),
        (["run", "study.yaml", "--set", "training.epochs=x"], "--set training.epochs=x: "),
        (["run", "study.yaml", "--set", "trainingg.epochs=1"], "--set trainingg.epochs=1: "),
        (["check", "study.yaml", "--set", "methods.9=random"], "--set methods.9=random: "),
        (["check", "study.yaml", "--set", "epochs"], "--set epochs: "),
        (["check", "study.yaml", "--set", "datasets.0.root=none"], "--set datasets.0.root=none: "),
        (["plan", "none.yaml"], "none.yaml"),
        (["report", "."], "has no spec.yaml"),
        (["report", "none.yaml"], "none.yaml"),
        (["work", "0" * 64], "no pending step with this key"),
        (["work", "../x"], "no pending step with this key"),
        (["status", "none.yaml"], "none.yaml"),
        (["recommend", "none.yaml"], "none.yaml"),
        (["recommend", "--redundancy", "medium"], "medium"),
        (["run", "study.yaml", "--executor", "cloud"], "cloud"),
        (["fly"], "fly"),
    ],
)
def test_bad_arguments(cli, home, spec, arguments, message):
    (home / "study.yaml").write_text(yaml.safe_dump(spec))
    before = listing(home)
    code, out, err = cli(*arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert listing(home) == before
