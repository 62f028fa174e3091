"""`alspec init` and `alspec schema`, as a new user meets them."""

import json

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
    assert "1 images in train/images, their masks in train/masks" in err
    spec = yaml.safe_load((tmp_path / "my data" / "study.yaml").read_text().replace("1e-", "1.e-"))
    assert spec["study"] == "my-data"
    assert spec["datasets"][0]["root"] == "my data"
    assert cli("plan", "my data/study.yaml")[0] == 2  # 10 % of one image is none


def test_init_names_templates(cli):
    code, _, err = cli("init", "b.yaml", "--template", "quikstart")
    assert code == 2
    assert "Did you mean `quickstart`?" in err


def test_schema_is_json_alone(cli):
    code, out, err = cli("schema")
    assert (code, err) == (0, "")
    assert "entropy" in json.loads(out)["definitions"]["Method"]["properties"]["name"]["enum"]
