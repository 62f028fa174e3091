from __future__ import annotations

import pytest
import yaml

from alspec.errors import AlspecError, InputError
from alspec.run import devices
from alspec.spec.execution import Execution
from alspec.spec.load import load_project, load_study


@pytest.fixture(autouse=True)
def _a_machine_with_two_gpus_and_three_cores(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(devices, "visible_gpus", lambda: [0, 1])
    monkeypatch.setattr(devices, "cpu_slots", lambda: 3)


@pytest.mark.parametrize(
    ("text", "slots"),
    [
        (None, ["cuda:0", "cuda:1"]),
        ("cpu", ["cpu"] * 3),
        ("cpu:2", ["cpu"] * 2),
        ("cuda", ["cuda:0"]),
        ("cuda:1", ["cuda:1"]),
        ("cuda:0,1", ["cuda:0", "cuda:1"]),
        ("cuda:0, cuda:1", ["cuda:0", "cuda:1"]),
        ("cuda:0,cpu:1", ["cuda:0", "cpu"]),
        ("cuda:0*3", ["cuda:0"] * 3),
        ("cuda*2", ["cuda:0"] * 2),
        ("cuda:0*2,1", ["cuda:0", "cuda:0", "cuda:1"]),
        ("cuda:0,1*2", ["cuda:0", "cuda:1", "cuda:1"]),
        ("cuda:0*1,cpu:1", ["cuda:0", "cpu"]),
    ],
)
def test_devices_become_slots(text, slots):
    assert devices.parse_devices(text) == slots


def test_without_a_gpu_the_cpu_is_used(monkeypatch):
    monkeypatch.setattr(devices, "visible_gpus", list)
    assert devices.parse_devices(None) == ["cpu"] * 3


@pytest.mark.parametrize(
    "text",
    [
        *("", "gpu", "cpu:", "cuda:x", "0", "cpu:0", "cuda:0,,1", "cpu,1"),
        *("cuda:0*", "cuda:0*0", "cuda:0*x", "cuda:0*-1", "*2", "cpu*2", "cpu:2*2", "cuda:0**2"),
    ],
)
def test_other_words_are_refused(text):
    with pytest.raises(InputError) as caught:
        devices.parse_devices(text)
    assert caught.value.problems[0].where == "--devices"


def test_a_gpu_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(devices.Path, "exists", lambda _: False)
    with pytest.raises(InputError, match="cuda:2 does not exist; this machine has 2 GPUs"):
        devices.parse_devices("cuda:2")


def test_several_workers_on_a_gpu_that_is_not_there_are_refused(monkeypatch):
    monkeypatch.setattr(devices.Path, "exists", lambda _: False)
    with pytest.raises(InputError, match="cuda:2 does not exist"):
        devices.parse_devices("cuda:2*3")


def test_a_hidden_gpu_is_not_there(monkeypatch):
    monkeypatch.undo()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert devices.visible_gpus() == []
    with pytest.raises(InputError, match="does not exist"):
        devices.parse_devices("cuda:0")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    assert devices.visible_gpus() == [0, 1]


def test_at_least_one_core():
    assert devices.cpu_slots() >= 1


@pytest.mark.parametrize(
    ("text", "most"),
    [("cuda:0,1", 2), ("cuda:0*3", 1), ("cuda:0*2,1", 2), ("cpu:4", 4), ("cuda:0,cpu:3", 3)],
)
def test_a_training_gets_different_gpus_or_workers_of_the_processor(text, most):
    slots = devices.parse_devices(text)
    assert devices.most_together(slots) == most
    devices.require_room(slots, most)
    with pytest.raises(InputError, match=f"takes {most + 1} devices together"):
        devices.require_room(slots, most + 1)


@pytest.mark.parametrize(
    ("execution", "together", "slots"),
    [
        ({}, 1, None),
        ({"devices": "cuda:0*3"}, 1, "cuda:0*3"),
        ({"devices": 1}, 1, None),
        ({"devices": 4}, 4, None),
        ({"executor": "slurm", "devices": 4}, 4, "cuda:0,1,2,3"),
        ({"executor": "ray", "devices": 1}, 1, None),
    ],
)
def test_a_number_is_of_each_training_and_a_text_of_the_machine(execution, together, slots):
    read = Execution.model_validate(execution)
    assert (read.devices_a_training, read.slots) == (together, slots)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"execution": {"devices": 3}}, "3 devices cannot share a batch of 4 images equally"),
        ({"execution": {"devices": 0}}, "from 1 to 64; got 0"),
        ({"execution": {"devices": True}}, "from 1 to 64; got true"),
        ({"execution": {"devices": "two"}}, "got the text `two`"),
        (
            {"execution": {"devices": 2}, "training": {"batch_size": 4, "compile": True}},
            "with training.compile a training takes one device, not 2",
        ),
    ],
)
def test_what_cannot_be_is_told_at_its_line(tmp_path, toy_spec, changes, said):
    spec = tmp_path / "study.yaml"
    spec.write_text(yaml.safe_dump({**toy_spec, **changes}))
    with pytest.raises(AlspecError) as caught:
        load_study(spec)
    (problem,) = caught.value.problems
    assert said in problem.what
    assert problem.where.startswith(f"{spec}:"), "with line and column"


def test_a_project_trains_on_one_device(tmp_path):
    spec = tmp_path / "project.yaml"
    dataset = "{name: a, kind: folder, root: ., images: i, masks: m, classes: [a, b]}"
    spec.write_text(f"project: a\ndataset: {dataset}\nbatch: 5\nexecution: {{devices: 2}}\n")
    with pytest.raises(AlspecError, match=r":4:.*a labelling project trains on one device"):
        load_project(spec)
