"""The JSON schema: what editors need of it, and that it agrees with the loader."""

import copy
import json

import jsonschema
import pytest
import yaml
from factories.packages import installed
from factories.toy import TOY

from alspec.errors import SpecError
from alspec.spec.load import load_project, load_study
from alspec.spec.model import Study
from alspec.spec.project import Project
from alspec.spec.schema import DRAFT, json_schema
from alspec.spec.templates import template, template_names


@pytest.fixture(scope="module")
def schema():
    return json_schema()


@pytest.fixture(scope="module")
def errors(schema):
    validator = jsonschema.Draft7Validator(schema)

    def errors(data):
        return [error.message for error in validator.iter_errors(data)]

    return errors


def unions(schema):
    """Every part of the schema that chooses among others."""
    if isinstance(schema, dict):
        if any(word in schema for word in ("anyOf", "oneOf", "allOf")):
            yield schema
        for part in schema.values():
            yield from unions(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from unions(part)


def test_it_is_draft_07_with_an_http_identity(schema):
    jsonschema.Draft7Validator.check_schema(schema)
    assert schema["$schema"] == DRAFT == "http://json-schema.org/draft-07/schema#"
    assert schema["$id"].startswith("http://")
    assert json.loads(json.dumps(schema, allow_nan=False)) == schema


def test_unions_of_mappings_say_that_they_are_objects(schema):
    whole = [union for union in unions(schema) if "allOf" in union]
    assert whole
    assert all(union["type"] == "object" for union in whole)


@pytest.mark.parametrize("model", [Study, Project])
def test_every_key_of_a_spec_is_there(schema, model):
    described = schema["definitions"][model.__name__]
    assert set(described["properties"]) == {*model.model_fields, "extends"}
    assert described["additionalProperties"] is False


@pytest.mark.parametrize("name", template_names())
def test_every_template_fits(errors, name):
    assert errors(yaml.safe_load(template(name).replace("1e-", "1.0e-"))) == []


PROJECT = {
    "project": "drive",
    "dataset": {
        "name": "drive",
        "kind": "folder",
        "root": ".",
        "images": "frames",
        "masks": "labels",
        "classes": ["road", "car"],
        "image_size": [32, 64],
    },
}


@pytest.mark.parametrize(
    ("key", "value", "fits"),
    [
        ("method", "auto", True),
        ("method", {"name": "bald", "passes": 5}, True),
        ("method", "atuo", False),
        ("ssl", "auto", True),
        ("ssl", "maybe", False),
        ("dataset", {**PROJECT["dataset"], "kind": "voc"}, False),
        ("batch", 0, False),
        ("methods", ["random"], False),
        ("study", "both", False),
    ],
)
def test_a_project_fits_as_the_loader_has_it(errors, tmp_path, key, value, fits):
    path = tmp_path / "project.yaml"
    path.write_text(yaml.safe_dump({**PROJECT, key: value}))
    assert (errors({**PROJECT, key: value}) == []) is fits
    if fits:
        load_project(path)
    else:
        with pytest.raises(SpecError):
            load_project(path)


CHANGES = [
    ("methods", ["margn"]),
    ("methods", [{"name": "bald", "passes": 1}]),
    ("methods", [{"name": "bald", "pases": 5}]),
    ("methods", [{"name": "entropy", "candidates": 5}]),
    ("methods", []),
    ("budgets", ["10"]),
    ("budgets", [{"name": "a", "initial": 1}]),
    ("seeds", 3),
    ("seeds", ["0"]),
    ("ssl", "no"),
    ("model", "deeplabv3"),
    ("model", {"konfig": "x.py"}),
    ("training", {"epochs": 1.5}),
    ("training", {"lr": 0}),
    ("training", {"learning_rate": 0.1}),
    ("evaluation", {"miou_at": 30}),
    ("epochs", 3),
    ("datasets", [{"name": "a", "kind": "toi"}]),
    ("datasets", [{**TOY["datasets"][0], "image_size": 64}]),
    ("datasets", [{**TOY["datasets"][0], "redundancy": {"kind": "every"}}]),
    ("datasets", [{**TOY["datasets"][0], "redundancy": {"kind": "evry", "n": 2}}]),
    ("datasets", [{**TOY["datasets"][0], "frmes": 2}]),
]


@pytest.mark.parametrize(("key", "value"), CHANGES)
def test_what_the_loader_refuses_the_schema_refuses(errors, tmp_path, key, value):
    wrong = {**copy.deepcopy(TOY), key: value}
    assert errors(TOY) == []
    assert errors(wrong)
    path = tmp_path / "wrong.yaml"
    path.write_text(yaml.safe_dump(wrong))
    with pytest.raises(SpecError):
        load_study(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("methods", ["random", {"name": "bald", "passes": 20, "label": "bald20"}]),
        ("methods", [{"name": "entropy", "candidates": {"every": 5}}]),
        (
            "budgets",
            ["2.5-5", {"name": "3k", "unit": "images", "initial": 2, "step": 1}],
        ),
        ("ssl", True),
        ("pretrained", None),
        ("datasets", [{**TOY["datasets"][0], "budgets": ["10-10"]}]),
        ("datasets", [{**TOY["datasets"][0], "redundancy": {"kind": "every", "n": 2}}]),
    ],
)
def test_what_the_loader_takes_the_schema_takes(errors, tmp_path, key, value):
    right = {**copy.deepcopy(TOY), key: value}
    assert errors(right) == []
    path = tmp_path / "right.yaml"
    path.write_text(yaml.safe_dump(right))
    load_study(path)


STRANGER = """
from pydantic import Field
from alspec.acquisition.base import Family, Params as Base
class Params(Base):
    warmth: float = Field(default=0.5, ge=0, description="how warm")
class Method:
    name, family, needs, version = "tepid", Family.RANDOM, frozenset(), 1
Method.Params = Params
"""


def test_a_plugins_name_and_parameters_are_in_it(tmp_path):
    with installed(tmp_path, "alspec-tepid", {"tepid": "Method"}, STRANGER):
        schema = json_schema()
    validator = jsonschema.Draft7Validator(schema)
    assert validator.is_valid({**TOY, "methods": ["tepid", {"name": "tepid", "warmth": 1}]})
    assert not validator.is_valid({**TOY, "methods": [{"name": "tepid", "warmth": -1}]})
    assert not validator.is_valid({**TOY, "methods": [{"name": "tepid", "wormth": 1}]})
    described = schema["definitions"]["method.tepid"]["properties"]["warmth"]
    assert described["description"] == "how warm"
    assert described["default"] == 0.5


def test_a_plugin_that_is_broken_is_known_by_name(tmp_path):
    with installed(tmp_path, "alspec-broken", {"broken": "Method"}, "1 / 0"):
        validator = jsonschema.Draft7Validator(json_schema())
    assert validator.is_valid({**TOY, "methods": [{"name": "broken", "anything": 1}]})
