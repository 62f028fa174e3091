"""What a step's key holds and what it does not, over every leaf field of the spec."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from factories.spec_leaves import LEAVES, REDUNDANCY, Field, all_leaves

from alspec.plan.expand import expand
from alspec.plan.kinds import EVALUATE, POOL, TRAIN
from alspec.spec.load import load_study
from alspec.spec.model import Study

GOLDEN = Path(__file__).parents[1] / "golden" / "pinned_keys.json"
PINNED = GOLDEN.with_name("pinned_study.yaml")


@pytest.fixture
def local_paths(tmp_path):
    """Files that specs point to; the planner reads names and sizes of images, no pixel."""
    tree = tmp_path / "tree"
    for folder in ("train", "train2", "val", "val2"):
        for masks in ("", "annot", "annot2"):
            home = tree / (folder.rstrip("2") + masks + folder.removeprefix(folder.rstrip("2")))
            home.mkdir(parents=True, exist_ok=True)
            for n in range(20):
                (home / f"s{n % 2}_{n:02d}.png").write_bytes(b"x" * (n + 1))
    for name in ("trainannot2", "valannot2"):
        (tree / name).mkdir(exist_ok=True)
        for n in range(20):
            (tree / name / f"s{n % 2}_{n:02d}.png").write_bytes(b"x" * (n + 2))
    shutil.copytree(tree, tmp_path / "copy")
    ids = "".join(f"pool/seq00/{n:06d}\n" for n in range(10))
    for name in ("list.txt", "same.txt"):
        (tmp_path / name).write_text(ids)
    (tmp_path / "base.py").write_text("a = 1\n")
    (tmp_path / "config.py").write_text("_base_ = 'base.py'\n")
    (tmp_path / "config2.py").write_text("_base_ = ['base.py']\nb = 2\n")
    (tmp_path / "weights").write_bytes(b"weights")
    names = {
        "LIST": "list.txt", "SAME_LIST": "same.txt", "CONFIG": "config.py",
        "CONFIG2": "config2.py", "WEIGHTS": "weights", "TREE": "tree", "COPY": "copy",
    }  # fmt: skip
    return {name: str(tmp_path / file) for name, file in names.items()}


def put(value, local_paths):
    """Plain data with the names of files replaced by their paths."""
    if isinstance(value, dict):
        return {key: put(inner, local_paths) for key, inner in value.items()}
    if isinstance(value, list):
        return [put(inner, local_paths) for inner in value]
    return local_paths.get(value, value) if isinstance(value, str) else value


def base(kind, toy_spec):
    spec = copy.deepcopy(toy_spec)
    spec["methods"] = [{"name": "entropy"}, {"name": "bald", "passes": 2}]
    if kind == "folder":
        spec["datasets"] = [
            {
                "name": "mine", "kind": "folder", "root": "TREE", "image_size": [32, 64],
                "images": "train", "masks": "trainannot", "classes": ["a", "b"], "ignore": 9,
                "sequence": "^(.*)_", "val": {"images": "val", "masks": "valannot"},
            }
        ]  # fmt: skip
    return spec


def changed(spec, path, value):
    spec = copy.deepcopy(spec)
    here, keys = spec, [int(key) if key.isdigit() else key for key in path.split(".")]
    for key in keys[:-1]:
        here = here.setdefault(key, {}) if isinstance(here, dict) else here[key]
    here[keys[-1]] = value
    return spec


def keys_of(spec):
    return set(expand(Study.model_validate(spec)).steps)


def test_every_leaf_of_the_spec_is_declared():
    assert set(all_leaves()) == set(LEAVES)


@pytest.mark.parametrize("leaf", [leaf for leaf, row in LEAVES.items() if row[1]])
def test_keys_change_with_semantic_fields_alone(leaf, toy_spec, local_paths):
    what, path, value, before = LEAVES[leaf]
    kind = "folder" if leaf.startswith("datasets.folder") else "toy"
    spec = base(kind, toy_spec)
    if "r" in before:
        spec["datasets"][0]["redundancy"] = REDUNDANCY[before["r"]]
    if "model" in before:
        spec["model"] = before["model"]
    if "o" in before:
        spec["training"] = {**spec.get("training", {}), "optimizer": {"type": before["o"]}}
    if leaf == "budgets.unit":
        spec["budgets"] = [{"name": "n", "initial": 4, "step": 6, "cycles": 2}]
        spec["datasets"][0]["frames"] = 30
    one = put(spec, local_paths)
    other = put(changed(spec, path, value), local_paths)
    assert Study.model_validate(one) != Study.model_validate(other) or value is None
    same = keys_of(one) == keys_of(other)
    assert same == (what is Field.OPERATIONAL)


def test_other_validation_images_leave_trainings_as_they_are(toy_spec, local_paths):
    spec = base("folder", toy_spec)
    elsewhere = {"images": "val2", "masks": "valannot2"}
    plans = [
        expand(Study.model_validate(put(each, local_paths)))
        for each in (spec, changed(spec, "datasets.0.val", elsewhere))
    ]
    common = plans[0].steps.keys() & plans[1].steps.keys()
    apart = {plan.steps[key].kind for plan in plans for key in plan.steps.keys() - common}
    assert apart == {EVALUATE}
    assert not any(plans[0].steps[key].kind is EVALUATE for key in common)


def test_the_kind_of_dataset_is_semantic(toy_spec, local_paths):
    kinds = [keys_of(put(base(kind, toy_spec), local_paths)) for kind in ("toy", "folder")]
    assert not kinds[0] & kinds[1]


def test_s4gan_matters_only_where_it_trains(toy_spec):
    one = {**toy_spec, "ssl": [False]}
    assert keys_of(one) == keys_of({**one, "s4gan": {"threshold": 0.1}})


def test_own_budgets_of_a_dataset_are_the_studys(toy_spec):
    own = changed(toy_spec, "datasets.0.budgets", toy_spec["budgets"])
    own["budgets"] = ["10-10"]
    assert keys_of(own) == keys_of(toy_spec)


def test_the_files_decide_and_not_their_place(toy_spec, local_paths):
    spec = put(base("folder", toy_spec), local_paths)
    before = keys_of(spec)
    image = Path(local_paths["TREE"], "train", "s0_00.png")
    image.write_bytes(b"another size")
    assert not before & keys_of(spec)
    weights = {**put(toy_spec, local_paths), "pretrained": local_paths["WEIGHTS"]}
    before = keys_of(weights)
    Path(local_paths["WEIGHTS"]).write_bytes(b"WEIGHTS")
    trained = {step.key for step in expand(Study.model_validate(weights)).in_order()} & before
    assert len(trained) < len(before)
    Path(local_paths["WEIGHTS"]).write_bytes(b"weights")
    assert keys_of(weights) == before


def test_a_changed_list_of_frames_is_another_pool(toy_spec, local_paths):
    spec = put(changed(toy_spec, "datasets.0.redundancy", REDUNDANCY["list"]), local_paths)
    before = keys_of(spec)
    text = Path(local_paths["LIST"]).read_text()
    Path(local_paths["LIST"]).write_text("# a remark\n" + text)
    assert keys_of(spec) == before
    Path(local_paths["LIST"]).write_text(text + "pool/seq01/000000\n")
    assert not keys_of(spec) & before


def test_a_changed_file_below_a_config_is_another_model(toy_spec, local_paths):
    spec = put({**toy_spec, "model": {"config": "CONFIG"}}, local_paths)
    before = keys_of(spec)
    Path(local_paths["CONFIG"]).with_name("base.py").write_text("a = 2\n")
    after = keys_of(spec)
    assert before != after


def test_order_of_keys_and_relative_paths_do_not_matter(
    toy_spec, local_paths, monkeypatch, tmp_path
):
    spec = base("folder", toy_spec)
    straight = yaml.safe_dump(put(spec, local_paths), sort_keys=False)
    (tmp_path / "one.yaml").write_text(straight)

    def turned(value):
        if isinstance(value, dict):
            return {key: turned(inner) for key, inner in reversed(value.items())}
        return [turned(inner) for inner in value] if isinstance(value, list) else value

    (tmp_path / "two.yaml").write_text(
        yaml.safe_dump(turned(put(spec, {"TREE": "tree"})), sort_keys=False)
    )
    monkeypatch.chdir(tmp_path)
    one = expand(load_study(Path("one.yaml")))
    two = expand(load_study(Path("two.yaml")))
    assert set(one.steps) == set(two.steps)
    assert one.study == two.study  # paths are absolute, so workers may start anywhere


def test_keys_do_not_hang_on_the_process(toy_spec):
    code = (
        "import json, sys; from alspec.plan.expand import expand; "
        "from alspec.spec.model import Study; "
        "print(sorted(expand(Study.model_validate(json.load(sys.stdin))).steps))"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code],
            input=json.dumps(toy_spec),
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert told == {f"{sorted(keys_of(toy_spec))}\n"}


def test_keys_are_pinned():
    """Keys that move re-run studies: raise the kind's version, write a line under Re-runs.

    ALSPEC_UPDATE_GOLDEN=1 writes the file anew.
    """
    plan = expand(load_study(PINNED))
    keys = {step.label: step.key for step in plan.in_order()}
    assert len(keys) == len(plan.steps)
    text = json.dumps(keys, indent=1) + "\n"
    if os.environ.get("ALSPEC_UPDATE_GOLDEN"):
        GOLDEN.write_text(text)
    assert GOLDEN.read_text() == text


def train_params(spec):
    return params_of(spec, TRAIN)


def params_of(spec, kind):
    steps = expand(Study.model_validate(spec)).in_order()
    return [step.params for step in steps if step.kind is kind]


def test_the_way_of_resizing_is_in_the_keys_of_what_is_resized(toy_spec, local_paths):
    """Other pixels are another result; drawn images and own sizes are left as they are."""
    drawn, files = (put(base(kind, toy_spec), local_paths) for kind in ("toy", "folder"))
    as_they_are = changed(changed(files, "datasets.0.image_size", None), "training.crop", [32, 32])
    for spec, resized in ((drawn, False), (files, True), (as_they_are, False)):
        (pool,) = params_of(spec, POOL)
        assert ("resizing" in pool["dataset"]) == resized
        for params in params_of(spec, EVALUATE):
            assert ("resizing" in params["dataset"]) == resized
            assert "resizing" not in params
        assert all("resizing" not in params for params in params_of(spec, TRAIN))
    scaled = changed(drawn, "training.scale", [0.5, 1.5])
    assert all("resizing" in params for params in params_of(scaled, TRAIN))
    measured = changed(drawn, "evaluation.image_size", [64, 64])
    assert all("resizing" in params for params in params_of(measured, EVALUATE))


def test_the_discriminators_version_is_in_the_keys_of_trainings_with_one(toy_spec):
    both = train_params({**toy_spec, "ssl": [False, True]})
    found = {("discriminator" in each, each["s4gan"] is not None) for each in both}
    assert found == {(False, False), (True, True)}


@pytest.mark.parametrize(
    ("training", "pads"),
    [
        ({}, False),
        ({"crop": [32, 64]}, False),
        ({"crop": [33, 64]}, True),
        ({"crop": [32, 64], "scale": [0.5, 1.5]}, True),
        ({"crop": [16, 32], "scale": [0.5, 1.5]}, False),
        ({"scale": [1.0, 1.5]}, False),
        ({"scale": [0.9, 1.5]}, True),
    ],
)
def test_the_way_of_padding_is_in_the_keys_of_trainings_that_may_pad(toy_spec, training, pads):
    spec = changed(toy_spec, "datasets.0.image_size", [32, 64])
    spec["training"] = {**spec.get("training", {}), **training}
    assert {"padding" in params for params in train_params(spec)} == {pads}


def test_images_of_their_own_sizes_may_be_smaller_than_a_crop(toy_spec, local_paths):
    files = changed(base("folder", toy_spec), "datasets.0.image_size", None)
    spec = put(changed(files, "training.crop", [32, 32]), local_paths)
    assert all("padding" in params for params in train_params(spec))


def test_steps_of_scale_are_in_the_keys(toy_spec):
    scaled = changed(toy_spec, "training.scale", [0.5, 1.5])
    assert all("scale_step" not in params["training"] for params in train_params(scaled))
    stepped = train_params(changed(scaled, "training.scale_step", 0.1))
    assert all(params["training"]["scale_step"] == 0.1 for params in stepped)


def test_one_cell_of_features_says_nothing(toy_spec):
    plain = keys_of({**toy_spec, "methods": ["coreset"]})
    for grid, same in ((1, True), (2, False)):
        found = keys_of({**toy_spec, "methods": [{"name": "coreset", "grid": grid}]})
        assert (found == plain) == same


@pytest.mark.parametrize("option", ["colour", "compile"])
def test_an_option_that_is_off_says_nothing(toy_spec, option):
    """Steps made before there was the option stand."""
    assert all(option not in params["training"] for params in params_of(toy_spec, TRAIN))
    turned_on = changed(toy_spec, f"training.{option}", True)
    assert all(params["training"][option] for params in params_of(turned_on, TRAIN))


def test_devices_that_train_together_are_in_the_keys_of_trainings_alone(toy_spec):
    def planned(devices):
        return expand(Study.model_validate({**toy_spec, "execution": {"devices": devices}}))

    alone, text, one, two = (planned(devices) for devices in (None, "cuda:0,1", 1, 2))
    assert alone.steps.keys() == text.steps.keys() == one.steps.keys()
    common = alone.steps.keys() & two.steps.keys()
    assert {alone.steps[key].kind for key in alone.steps.keys() - common} >= {TRAIN, EVALUATE}
    assert not any(alone.steps[key].kind in (TRAIN, EVALUATE) for key in common)
    assert any(alone.steps[key].kind is POOL for key in common)
    for step in two.steps.values():
        assert step.devices == (2 if step.kind is TRAIN else 1)
    first = alone.steps[alone.runs[0].sets[0].train]
    shared = two.steps[two.runs[0].sets[0].train]
    assert first.key != shared.key
    assert first.key == first.seed_key == shared.seed_key, (
        "the same weights and order to begin with"
    )
