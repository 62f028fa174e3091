"""Ray's pilots on a made-up cluster: what each task asks for, and what no node has room for."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from fakes import ray_module

from alspec.run.executors.pilots import ClusterError, PilotCommand
from alspec.run.executors.ray import RayCluster
from alspec.spec.execution import Ray


@pytest.fixture
def study(tmp_path, monkeypatch, toy_spec):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("alspec.run.plan_steps.check_models", lambda *_, **__: None)
    spec = {**toy_spec, "execution": {"executor": "ray", "devices": 2}}
    Path("study.yaml").write_text(yaml.safe_dump(spec))


@pytest.mark.parametrize(
    ("nodes", "devices", "gpus", "asked", "slots"),
    [
        ([(1, 0)] * 3, "cpu:1", 0, {}, 3),
        ([(1, 0)] * 3, "cpu:2", 0, {}, 0),
        ([(1, 0), (5, 0)], "cpu:2", 0, {}, 2),
        ([(16, 4), (16, 1)], "cuda:0", 1, {}, 5),
        ([(16, 4), (16, 1)], "cuda:0,1", 2, {}, 2),
        ([(16, 1)] * 2, "cuda:0,1", 2, {}, 0),
        ([(4, 4)], "cuda:0", 1, {"cpus": 2}, 2),
        ([], "cpu:1", 0, {}, 0),
    ],
)
def test_a_task_is_on_one_node(tmp_path, monkeypatch, nodes, devices, gpus, asked, slots):
    ray_module.put_in_place(monkeypatch, nodes)
    command = PilotCommand(tmp_path / "s.yaml", tmp_path, (), devices, "15m")
    cluster = RayCluster(command, gpus, tmp_path, Ray(**asked), {})
    if slots:
        assert cluster.slots() == slots
    else:
        for ask in (cluster.slots, lambda: cluster.start(1)):
            with pytest.raises(ClusterError, match="of one node; the nodes have"):
                ask()


@pytest.mark.parametrize(
    ("options", "devices", "asked"),
    [((), "cuda:0,1", {"num_gpus": 2, "num_cpus": 1}),
     (("--devices", "cpu:2"), "cpu:2", {"num_gpus": 0, "num_cpus": 2})],
)  # fmt: skip
def test_devices_of_one_training_are_those_of_one_task(
    study, monkeypatch, cli, options, devices, asked
):
    ray = ray_module.put_in_place(monkeypatch, [(2, 2)])
    code, _, err = cli("run", "study.yaml", "--no-wait", *options)
    assert code == 4, err
    ((resources, task),) = ray.tasks
    assert resources.items() >= asked.items()
    assert task.command.devices == devices
    assert not ray.at_work


@pytest.mark.parametrize(
    ("nodes", "options", "said"),
    [
        ([(2, 1)] * 2, (), "asks for 2 GPUs and 1 CPUs"),
        ([(1, 0)] * 3, ("--devices", "cpu:2"), "asks for 0 GPUs and 2 CPUs"),
        ([(8, 8)], ("--devices", "cpu:1"), "a training takes 2 devices together"),
        ([(8, 8)], ("--devices", "cuda:0*2"), "a training takes 2 devices together"),
    ],
)
def test_devices_that_no_node_has_are_refused_before_anything_runs(
    study, monkeypatch, cli, nodes, options, said
):
    ray = ray_module.put_in_place(monkeypatch, nodes)
    for jobs in ((), ("--jobs", "1")):
        code, _, err = cli("run", "study.yaml", *jobs, *options)
        assert code == 2
        assert said in err
        assert not Path("work_dirs", "tiny", "results.csv").exists()
    assert not ray.tasks
    assert not ray.at_work
