"""A folder's spec as plain data, which workers and the study's folder read back."""

import json

import pytest
from pydantic import ValidationError

from alspec.datasets.kinds import partly_labelled
from alspec.datasets.kinds.folder import Spec
from alspec.spec.load import dump_study, load_study
from alspec.spec.model import Study
from alspec.system.atomic import json_text

TREE = {
    "name": "tree", "kind": "folder", "root": ".", "images": "images", "masks": "masks",
    "image_size": [32, 32], "val": {"fraction": 0.2},
}  # fmt: skip


@pytest.mark.parametrize(
    "labels",
    [
        {"classes": ["a", "b"]},
        {"values": {0: "a", 255: "b"}},
        {"colours": {"#000000": "a", "#ff0000": "b"}},
    ],
    ids=lambda labels: next(iter(labels)),
)
def test_it_is_the_same_after_json_and_yaml(tmp_path, labels):
    spec = Spec.model_validate({**TREE, **labels})
    assert Spec.model_validate(json.loads(spec.model_dump_json())) == spec
    study = Study.model_validate(
        {
            "study": "s",
            "datasets": [{**TREE, **labels}],
            "budgets": ["10-10"],
            "methods": ["random"],
        }
    )
    path = tmp_path / "spec.yaml"
    path.write_text(dump_study(study))
    assert load_study(path) == study


@pytest.mark.parametrize("kind", [Spec, partly_labelled.Spec])
@pytest.mark.parametrize(
    "labels",
    [
        {"values": {0: "a", 20: "b", 100: "c"}},
        {"values": {255: "lesion", 0: "background"}},
        {"colours": {"#ff0000": "b", "#000000": "a"}},
    ],
)
def test_workers_have_the_ids_of_the_spec(kind, labels):
    """The store sorts the keys of its JSON."""
    (named,) = labels.values()
    tree = {**TREE, "val": {"images": "v", "masks": "w"}}
    spec = kind.model_validate({**tree, **labels})
    assert spec.class_names == tuple(named.values())
    stored = json.loads(json_text(spec.model_dump(mode="json")))
    assert kind.model_validate(stored).class_names == spec.class_names


def test_another_order_of_values_is_another_recipe():
    one, other = (
        json_text(Spec.model_validate({**TREE, "values": values}).recipe_fields())
        for values in ({0: "a", 255: "b"}, {255: "b", 0: "a"})
    )
    assert one != other


def test_values_of_one_class_are_refused():
    with pytest.raises(ValidationError, match="name 1 classes"):
        Spec.model_validate({**TREE, "values": {0: "a", 1: "a"}})
