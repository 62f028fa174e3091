"""Specs, configs, recipes and artifacts that hold a program: refused, and it never runs."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from factories.images import tiny
from factories.performed_steps import CPU, Performed, study
from safetensors.torch import save_file

from alspec.errors import AlspecError, InputError, SpecError, StoreError
from alspec.models.nets.config import model_config
from alspec.plan.config_file import config_sha256
from alspec.plan.expand import expand
from alspec.plan.kinds import POOL, TRAIN
from alspec.plan.step import Step
from alspec.run.executors.worker import described_step
from alspec.spec.load import load_study
from alspec.steps.train import load_trained
from alspec.store.manifest import MANIFEST
from alspec.store.store import Store

KEY = "a" * 64


class Payload:
    """Makes the canary's folder when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = str(canary)

    def __reduce__(self) -> Any:
        return os.mkdir, (self.canary,)


@pytest.fixture
def canary(tmp_path: Path) -> Any:
    path = tmp_path / "canary"
    yield path
    assert not path.exists()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def commit(store: Store, key: str = KEY, **files: bytes) -> None:
    """A step whose manifest fits its files, whatever they hold."""
    with store.draft(key, {}) as folder:
        for name, data in files.items():
            (folder / name).write_bytes(data)


def array_bytes(array: Any) -> bytes:
    from io import BytesIO

    buffer = BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


# ---- arrays


def test_arrays_of_numbers_are_read(store: Store) -> None:
    commit(store, **{"matrix.npy": array_bytes(np.arange(6).reshape(2, 3))})
    np.testing.assert_array_equal(store.read_array(KEY, "matrix.npy"), [[0, 1, 2], [3, 4, 5]])


@pytest.mark.parametrize("form", ["objects", "record", "pickle", "zip", "header", "huge", "empty"])
def test_arrays_with_objects_are_refused(store: Store, canary: Path, tmp_path: Path, form: str):
    payload = Payload(canary)
    zipped = tmp_path / "a.npz"
    np.savez(zipped, a=np.array([payload], object))
    header = f"{{'descr': __import__('os').mkdir({str(canary)!r}), 'shape': (1,)}}\n".encode()
    data = {
        "objects": array_bytes(np.array([payload], object)),
        "record": array_bytes(np.array([(1, payload)], [("n", "i4"), ("o", "O")])),
        "pickle": pickle.dumps(payload),
        "zip": zipped.read_bytes(),
        "header": b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header,
        "huge": array_bytes(np.arange(1.0)).replace(b"(1,)", b"(%d,)" % (1 << 55)),
        "empty": b"",
    }[form]
    commit(store, **{"matrix.npy": data})
    with pytest.raises(StoreError, match=r"matrix\.npy: corrupt .*Run again"):
        store.read_array(KEY, "matrix.npy")
    assert not store.is_done(KEY)


# ---- manifests and links


@pytest.mark.parametrize("name", ["../canary", "/canary", "a/../../canary", "..", "a\\b", "a\0b"])
def test_a_manifest_cannot_name_what_lies_elsewhere(store: Store, canary: Path, name: str) -> None:
    commit(store, **{"a.json": b"{}"})
    path = store.home(KEY) / MANIFEST
    path.write_text(json.dumps({"step": {}, "files": {name: {"bytes": 0, "sha256": ""}}}))
    with pytest.raises(StoreError, match="corrupt"):
        store.holds(KEY, "a.json")
    with pytest.raises(StoreError):
        store.file(KEY, name)
    assert not store.is_done(KEY)


@pytest.mark.parametrize("same", [True, False])
def test_a_link_is_no_artifact(store: Store, canary: Path, tmp_path: Path, same: bool) -> None:
    commit(store, **{"a.json": b"{}"})
    outside = tmp_path / "outside"
    outside.write_bytes(b"{}" if same else pickle.dumps(Payload(canary)))
    path = store.home(KEY) / "a.json"
    path.unlink()
    path.symlink_to(outside)
    with pytest.raises(StoreError, match=r"a\.json: corrupt"):
        store.read_json(KEY, "a.json")
    assert outside.is_file()


# ---- a trained model


def trained(store: Store, config: str, weights: bytes) -> None:
    told = json.dumps({"config": config, "mc_dropout": False}).encode()
    commit(store, **{"model.json": told, "weights.safetensors": weights})


@pytest.fixture
def weights(tmp_path: Path) -> bytes:
    save_file(tiny().state_dict(), tmp_path / "w")
    return (tmp_path / "w").read_bytes()


def test_a_trained_model_is_read(store: Store, weights: bytes) -> None:
    trained(store, repr(model_config("deeplabv3plus_tiny", 3)), weights)
    assert load_trained(store, KEY, CPU).decode_head.num_classes == 3


@pytest.mark.parametrize(
    "config",
    [
        "__import__('os').mkdir({canary!r})",
        "[c for c in ().__class__.__base__.__subclasses__()]",
        "(lambda: __import__('os').mkdir({canary!r}))()",
        "{{'type': 'os.mkdir', 'path': {canary!r}}}",
        "{{'type': 'subprocess.Popen', 'args': ['mkdir', {canary!r}]}}",
        "{{'type': 'EncoderDecoder', 'backbone': {{'type': 'os.mkdir', 'path': {canary!r}}}}}",
        "{{'type': 'EncoderDecoder'",
        "(" * 3000,
        "3",
    ],
)
def test_a_model_artifact_with_code(store: Store, weights: bytes, canary: Path, config: str):
    trained(store, config.format(canary=str(canary)), weights)
    with pytest.raises(StoreError, match="holds no trained model"):
        load_trained(store, KEY, CPU)


def test_weights_of_a_step_are_no_pickle(store: Store, canary: Path) -> None:
    trained(store, repr(model_config("deeplabv3plus_tiny", 3)), pickle.dumps(Payload(canary)))
    with pytest.raises(StoreError, match="holds no trained model"):
        load_trained(store, KEY, CPU)


# ---- specs


@pytest.mark.parametrize(
    "value",
    [
        "!!python/object/apply:os.mkdir [CANARY]",
        "!!python/object/new:os.mkdir [CANARY]",
        "!!python/name:os.mkdir",
        "!<tag:yaml.org,2002:python/object/apply:os.mkdir> [CANARY]",
        "${X:-$(mkdir CANARY)}",
        "$(mkdir CANARY)",
        '\'{{ __import__("os").mkdir("CANARY") }}\'',
    ],
)
@pytest.mark.parametrize("key", ["study", "seeds", "methods", "model", "keep"])
def test_a_spec_is_data(tmp_path: Path, toy_spec: Any, canary: Path, key: str, value: str) -> None:
    path = tmp_path / "spec.yaml"
    rest = {name: told for name, told in toy_spec.items() if name != key}
    path.write_text(yaml.safe_dump(rest) + f"{key}: {value.replace('CANARY', str(canary))}\n")
    with pytest.raises(SpecError):
        load_study(path)
    path.write_text(yaml.safe_dump(toy_spec))
    with pytest.raises(SpecError):
        load_study(path, [f"{key}={value.replace('CANARY', str(canary))}"])


@pytest.mark.parametrize("model", ["os:mkdir", "os.mkdir", "alspec.cli.main:main", "../random"])
def test_a_method_is_a_name_and_no_path_to_code(toy_spec: Any, tmp_path: Path, model: str) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump({**toy_spec, "methods": [model]}))
    with pytest.raises(SpecError, match="no acquisition function"):
        load_study(path)


# ---- configs and recipes


def config_text(trace: Path) -> str:
    # An `import` statement would make it one of MMEngine's lazy configs, which calls nothing.
    leaves = f"__import__('os').makedirs({str(trace)!r}, exist_ok=True)"
    return f"{leaves}\nmodel = {model_config('deeplabv3plus_tiny', 3)!r}\n"


@pytest.fixture
def config(tmp_path: Path, canary: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(config_text(canary))
    return path


def train_step(config: Path, **options: Any) -> tuple[Performed, Step]:
    whole = study(methods=["random"], baselines=["full"], model={"config": str(config)},
                  training={"epochs": 1, "batch_size": 2})  # fmt: skip
    plan = expand(whole, **options)
    done = Performed(config.parent / "store", plan)
    steps = list(plan.in_order())
    done.perform(next(step for step in steps if step.kind is POOL))
    (full,) = [s for s in steps if s.kind is TRAIN and "labelled" not in s.inputs]
    return done, full


def test_a_worker_trains_no_untrusted_config(config: Path) -> None:
    done, full = train_step(config)
    with pytest.raises(InputError, match="--trust-config"):
        done.perform(full)
    assert not done.store.is_done(full.key)


def test_a_worker_trains_no_config_that_was_exchanged(config: Path, canary: Path) -> None:
    config.write_text("model = dict()\n")
    done, full = train_step(config, trust_config=True)
    config.write_text(config_text(canary))
    with pytest.raises(InputError, match="changed since it was planned"):
        done.perform(full)


def test_a_recipe_cannot_vouch_for_other_bytes(config: Path) -> None:
    done, full = train_step(config)
    for sha256 in ("", "0" * 64, hashlib.sha256(config.read_bytes()).hexdigest()):
        local_paths = {
            **full.local_paths,
            "model": {"config": str(config), "trusted_config": sha256},
        }
        lying = Step(full.kind, full.params, full.inputs, local_paths, full.label)
        with pytest.raises(InputError, match="--trust-config"):
            done.perform(lying)


def test_a_trusted_config_is_run(tmp_path: Path) -> None:
    trace, config = tmp_path / "trace", tmp_path / "mine.py"
    config.write_text(config_text(trace))
    done, full = train_step(config, trust_config=True)
    assert not trace.exists()
    done.perform(full)
    assert trace.is_dir()
    assert full.params["model"]["config_sha256"] == config_sha256(config)[0]


@pytest.mark.parametrize(
    "text",
    ["cos\nmkdir\n(VCANARY\ntR.", "!!python/object/apply:os.mkdir [CANARY]", "[" * 5000, "3", "{}",
     '{"recipe": {"kind": "os.mkdir", "params": {}, "inputs": {}}, "places": {}, "label": ""}'],
)  # fmt: skip
def test_a_recipe_is_data(store: Store, canary: Path, text: str) -> None:
    path = store.recipe_path(KEY)
    path.parent.mkdir(parents=True)
    path.write_text(text.replace("CANARY", str(canary)))
    with pytest.raises(AlspecError):
        described_step(store, KEY)
