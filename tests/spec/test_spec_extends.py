"""`extends:`: what a spec does not say is read from another; problems point where they stand."""

import pytest

from alspec.errors import SpecError
from alspec.spec.load import load_study

BASE = """
study: base
datasets:
  - {name: toy, kind: toy, image_size: [32, 64]}
budgets: [10-10]
methods: [random, entropy]
seeds: [0, 1]
model: {config: my.py}
training: {epochs: 5, lr: 0.1}
evaluation: {miou_at: [30]}
"""


@pytest.fixture
def load(tmp_path):
    def load(name="own.yaml", overrides=(), **files):
        for stem, text in {"base": BASE, **files}.items():
            path = tmp_path / f"{stem.replace('__', '/')}.yaml"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        return load_study(tmp_path / name, overrides)

    return load


def told(load, **files):
    with pytest.raises(SpecError) as caught:
        load(**files)
    return [(p.where.rpartition("/")[2], p.what) for p in caught.value.problems]


def test_mappings_are_merged_and_all_else_replaced(load):
    study = load(
        own="extends: base.yaml\nstudy: own\nseeds: [7]\n"
        "training: {epochs: 9}\nmodel: deeplabv3plus_tiny\n"
    )
    assert (study.study, study.seeds, study.model) == ("own", (7,), "deeplabv3plus_tiny")
    assert (study.training.epochs, study.training.lr) == (9, 0.1)
    assert [method.name for method in study.methods] == ["random", "entropy"]


def test_chains_start_at_each_files_own_folder(load):
    study = load(
        own="extends: more/middle.yaml\nstudy: own\n",
        more__middle="extends: ../base.yaml\nstudy: middle\ntraining: {lr: 0.5}\n",
    )
    assert (study.study, study.training.epochs, study.training.lr) == ("own", 5, 0.5)


def test_set_comes_last(load):
    study = load(own="extends: base.yaml\nstudy: own\n", overrides=["training.epochs=2"])
    assert study.training.epochs == 2


def test_problems_point_at_the_file_that_they_stand_in(load):
    problems = told(
        load,
        base=BASE.replace("lr: 0.1", "lr: -1"),
        own="extends: base.yaml\nstudy: own\ntraining: {epochs: 0}\n",
    )
    assert [where for where, _ in problems] == ["own.yaml:3:20", "base.yaml:9:27"]


def test_two_that_disagree_across_files_are_both_shown(load, tmp_path):
    with pytest.raises(SpecError) as caught:
        load(own="extends: base.yaml\nstudy: own\nmethods: [bald, bald]\n")
    assert str(caught.value).count("methods: [bald, bald]") == 2


@pytest.mark.parametrize(
    ("own", "where", "what"),
    [
        ("extends: nowhere.yaml\nstudy: own\n", "own.yaml:1:10", "there is no file"),
        ("extends: own.yaml\nstudy: own\n", "own.yaml:1:10", "cannot extend itself: own.yaml ->"),
        ("extends: base.yaml\nseeds: [1]\n", "own.yaml:1:10", "needs a name of its own"),
        ("extends: 3\nstudy: own\n", "own.yaml:1:10", "expected the file of another spec"),
        ("extends: ${NOT_SET_HERE}/a.yaml\nstudy: own\n", "own.yaml:1:10", "NOT_SET_HERE"),
        ("extends: base.yaml\nstudy: own\nextendz: x\n", "own.yaml:3:1", "unknown key"),
    ],
)
def test_what_cannot_be_extended_is_told(load, own, where, what):
    ((place, said),) = told(load, own=own)
    assert place == where
    assert what in said


def test_circles_are_found(load):
    problems = told(
        load,
        own="extends: other.yaml\nstudy: own\n",
        other="extends: own.yaml\nstudy: other\n",
    )
    assert "own.yaml -> other.yaml -> own.yaml" in problems[0][1]


def test_a_broken_base_names_its_own_line(load):
    problems = told(load, base="study: [", own="extends: base.yaml\nstudy: own\n")
    assert problems[0][0].startswith("base.yaml:1")
