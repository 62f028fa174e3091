"""`alspec init` and `alspec schema`, as a new user meets them."""

import io
import json
import sys

import numpy as np
import pytest
import yaml
from PIL import Image


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_init_writes_a_study_that_plans(cli, tmp_path):
    code, out, err = cli("init")
    assert (code, err) == (0, "")
    assert "Next: alspec check study.yaml" in out
    assert cli("plan", "study.yaml", "--json")[0] == 0
    assert {path.name for path in tmp_path.iterdir()} == {"study.yaml", "alspec.schema.json"}


def test_init_twice_changes_nothing(cli, tmp_path):
    cli("init", "a.yaml")
    before = (tmp_path / "a.yaml").read_bytes()
    code, _, err = cli("init", "a.yaml")
    assert code == 2
    assert "a.yaml: exists already and is left as it is" in err
    assert (tmp_path / "a.yaml").read_bytes() == before


def test_init_looks_at_a_folder(cli, tmp_path):
    for half in ("train", "val"):
        for folder, pixels in (("images", np.full((32, 32, 3), 9)), ("masks", np.eye(32))):
            path = tmp_path / "my data" / half / folder
            path.mkdir(parents=True)
            Image.fromarray(pixels.astype(np.uint8)).save(path / "a_1.png")
    code, _, err = cli("init", "my data")
    assert code == 0
    assert "1 images in train/images, all with masks in train/masks: a study" in err
    spec = yaml.safe_load((tmp_path / "my data" / "study.yaml").read_text().replace("1e-", "1.e-"))
    assert spec["study"] == "my-data"
    assert spec["datasets"][0]["root"] == "my data"
    assert cli("plan", "my data/study.yaml")[0] == 2  # 10 % of one image is none


def drive(tmp_path, labelled=(0, 3)):
    """Frames, a few masks with a void value 2, and a val."""
    for folder, numbers in (("frames", range(9)), ("val", range(10, 12))):
        for number in numbers:
            path = tmp_path / "drive" / folder / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((32, 32, 3), number, np.uint8)).save(path)
    for folder, numbers in (("labels", labelled), ("valannot", (10, 11) if labelled else ())):
        for number in numbers:
            path = tmp_path / "drive" / folder / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.resize(np.uint8([0, 1, 2]), (32, 32))).save(path)


@pytest.fixture
def answers(monkeypatch):
    """Has a terminal give these answers, one a question."""

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    def given(*lines):
        monkeypatch.setattr(sys, "stdin", Terminal("".join(f"{line}\n" for line in lines)))

    return given


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (
            ["", "", "", "", "", ""],
            {
                "project": "drive",
                "batch": 50,
                "classes": ["class_0", "class_1", "class_2"],
                "val": {"images": "val", "masks": "valannot"},
            },
        ),
        (
            ["my drive", "night-1", "road", "my car", "-", "3", "2", "none", "20"],
            {"project": "night-1", "batch": 20, "classes": ["road", "my car"], "ignore": 2},
        ),
        (
            ["", "-", "road", "-", "-", "road", "car", "1", "7"],
            {"values": {1: "road", 2: "car"}, "ignore": 0, "batch": 7},
        ),
    ],
)
def test_init_asks_for_what_a_person_knows(lines, expected, cli, tmp_path, answers):
    drive(tmp_path)
    answers(*lines)
    code, out, err = cli("init", "drive", "--ask")
    assert code == 0, err
    assert "value 2, 33.3 % of the pixels, most in labels/0.png" in err
    assert "Next: alspec check drive/project.yaml" in out
    spec = yaml.safe_load((tmp_path / "drive" / "project.yaml").read_text())
    assert {key: {**spec, **spec["dataset"]}[key] for key in expected} == expected
    if "val" not in expected and "2" in lines:
        assert "val" not in spec["dataset"]


def test_init_asks_nothing_for_a_spec_that_is_there(cli, tmp_path, answers):
    drive(tmp_path)
    (tmp_path / "drive" / "project.yaml").write_text("mine")
    answers()
    code, _, err = cli("init", "drive", "--ask")
    assert code == 2
    assert "exists already" in err
    assert "Name of the project" not in err


def test_questions_end_like_every_command_by_ctrl_c(cli, tmp_path, answers):
    drive(tmp_path)
    answers()  # the end of the input ends typer's prompt as Ctrl-C does
    code, _, err = cli("init", "drive", "--ask")
    assert code == 130
    assert "stopped by Ctrl-C" in err
    assert not list(tmp_path.rglob("*.yaml"))


def test_init_asks_for_classes_where_no_mask_shows_them(cli, tmp_path, answers):
    drive(tmp_path, labelled=())
    answers("", "sky", "sky, ground", "")
    assert cli("init", "drive", "--ask")[0] == 0
    spec = yaml.safe_load((tmp_path / "drive" / "project.yaml").read_text())
    assert spec["dataset"]["classes"] == ["sky", "ground"]


@pytest.mark.parametrize("target", ["drive", "study.yaml"])
def test_init_asks_nothing_where_nobody_can_answer(target, cli, tmp_path, monkeypatch, answers):
    drive(tmp_path)
    if target == "drive":
        monkeypatch.setattr(sys, "stdin", io.StringIO())
    else:
        answers()
    code, _, err = cli("init", target, "--ask")
    assert code == 2
    assert ("no terminal" in err) == (target == "drive")
    assert not list(tmp_path.rglob("*.yaml"))


def test_init_names_templates(cli):
    code, _, err = cli("init", "b.yaml", "--template", "quikstart")
    assert code == 2
    assert "Did you mean `quickstart`?" in err


def test_schema_is_json_alone(cli):
    code, out, err = cli("schema")
    assert (code, err) == (0, "")
    assert "entropy" in json.loads(out)["definitions"]["Method"]["properties"]["name"]["enum"]
