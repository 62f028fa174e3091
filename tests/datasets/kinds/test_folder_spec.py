"""A folder's spec as plain data, which workers and the study's folder read back."""

import json

import pytest

from alspec.datasets.kinds.folder import Spec
from alspec.spec.load import dump_study, load_study
from alspec.spec.model import Study

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
