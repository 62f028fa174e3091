from __future__ import annotations

import pytest

from alspec.errors import InputError
from alspec.run import devices


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
