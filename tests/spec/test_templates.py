"""Specs to start from: valid, commented, and never written over what is there."""

import re
from pathlib import Path

import pytest
import yaml

from alspec.errors import InputError
from alspec.spec.load import load_spec
from alspec.spec.model import Study
from alspec.spec.project import Project
from alspec.spec.templates import SCHEMA_FILE, template, template_names, with_values, write_spec

SPECS = sorted((Path(__file__).parents[2] / "specs").glob("*.yaml"))


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.stem)
def test_every_spec_of_the_repository_is_a_template(spec):
    assert template(spec.stem) == spec.read_text()


@pytest.mark.parametrize("name", template_names())
def test_a_template_is_a_valid_spec_with_comments_and_lines_for_editors(
    name, tmp_path, monkeypatch
):
    for variable in re.findall(r"\$\{(\w+)\}", template(name)):
        monkeypatch.setenv(variable, str(tmp_path))
    path = tmp_path / "made" / "it.yaml"
    schema = write_spec(path, template(name))
    spec = load_spec(path)
    assert isinstance(spec, Project if name == "project" else Study)
    assert schema == path.parent / SCHEMA_FILE
    first, second, *others = path.read_text().splitlines()
    assert first == f"# yaml-language-server: $schema=./{schema.name}"
    assert second == f"# $schema: ./{schema.name}"
    assert sum("#" in line for line in others) > 1


def test_values_are_replaced_and_comments_stay():
    text = with_values(template("folder"), {"root": "/my data", "sequence": "'^(..)'"})
    dataset = yaml.safe_load(text)["datasets"][0]
    assert (dataset["root"], dataset["sequence"]) == ("/my data", "^(..)")
    assert text.count("#") == template("folder").count("#") - 1
    with pytest.raises(ValueError, match="`colour` occurs 0 times"):
        with_values(template("folder"), {"colour": "red"})


def test_a_key_without_a_value_is_commented_out_once():
    text = template("project")
    assert with_values(text, {"val": None}) == text
    assert "\n# batch: 50" in with_values(text, {"batch": None})


def test_nothing_is_overwritten(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text("mine")
    with pytest.raises(InputError, match="exists already and is left as it is"):
        write_spec(path, template("quickstart"))
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("study.yaml", "mine")]


@pytest.mark.parametrize("name", ["study", "study.json", "study.yaml.txt"])
def test_a_spec_is_a_yaml_file(tmp_path, name):
    with pytest.raises(InputError, match="a spec is a YAML file"):
        write_spec(tmp_path / name, template("quickstart"))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_spec(tmp_path / "file" / "study.yaml", template("quickstart"))


def test_a_misspelt_template_is_met_with_a_suggestion():
    with pytest.raises(InputError, match="Did you mean `folder`"):
        template("foldr")
