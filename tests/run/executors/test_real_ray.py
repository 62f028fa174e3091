"""A study on three nodes of Ray, while pilots, workers, nodes and the driver are killed."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from factories.cluster_runs import TINY, TOGETHER, ClusterRun, alone, quickstart

from alspec.plan.expand import expand
from alspec.spec.model import Study

pytestmark = pytest.mark.nightly


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return alone(tmp_path_factory.mktemp("alone"))


@pytest.fixture
def cluster():
    pytest.importorskip("ray", reason="needs the extra alspec[ray]")
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    for _ in range(2):
        made.add_node(num_cpus=1)
    yield made
    made.shutdown()


@pytest.fixture
def pilots(cluster):
    """What the spec says of the cluster."""
    return {"executor": "ray", "ray": {"address": cluster.address}, "jobs": 3}


@pytest.fixture
def run(tmp_path, pilots):
    return ClusterRun(tmp_path, **pilots)


# ---- when


def at_work(run, kind):
    began, ended = run.events("started"), set(run.events("done"))
    return any(step.endswith(kind) for step in began if step not in ended) and run.pilots()


def training(run):
    return len(run.events("done")) >= 2 and at_work(run, "train")


def evaluating(run):
    return at_work(run, "evaluate")


def publishing(run):
    """Every step is done; pilots and driver write tables and report."""
    study = Study.model_validate(TINY)
    return len(run.events("done")) == len(expand(study).steps) and run.pilots()


# ---- what


def parent_of(process):
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def pilot(run, cluster, process):
    run.kill_pilot()


def all_pilots(run, cluster, process):
    for each in run.pilots():
        os.kill(each, signal.SIGKILL)


def worker(run, cluster, process):
    os.kill(parent_of(run.pilots()[0]), signal.SIGKILL)


def node(run, cluster, process):
    cluster.remove_node(cluster.list_all_nodes()[-1])


def node_and_pilot(run, cluster, process):
    run.kill_pilot()
    node(run, cluster, process)


def both_nodes_for_a_new_one(run, cluster, process):
    node(run, cluster, process)
    node(run, cluster, process)
    cluster.add_node(num_cpus=1)


def driver(run, cluster, process):
    process.kill()
    process.wait()


def driver_and_node(run, cluster, process):
    driver(run, cluster, process)
    node(run, cluster, process)


@pytest.mark.parametrize(
    ("moment", "fault"),
    [
        (training, pilot), (evaluating, pilot), (publishing, pilot), (training, all_pilots),
        (training, worker), (evaluating, worker), (training, node), (evaluating, node),
        (training, node_and_pilot), (training, both_nodes_for_a_new_one),
        (training, driver), (publishing, driver), (training, driver_and_node),
    ],
)  # fmt: skip
def test_a_study_survives(run, cluster, expected, moment, fault):
    process = run.start()
    run.wait_for(lambda: moment(run), process)
    fault(run, cluster, process)
    if process.poll() is not None:
        process = run.start()
    run.check(process, expected)


def test_the_quickstart_ends_in_the_same_bytes(tmp_path, pilots):
    (tmp_path / "alone").mkdir()
    expected = alone(tmp_path / "alone", quickstart(), "--devices", "cpu:2")
    run = ClusterRun(tmp_path, quickstart(), **pilots)
    run.check(run.start(), expected)


def test_a_training_of_two_devices_ends_in_the_same_bytes(tmp_path, cluster, pilots):
    (tmp_path / "alone").mkdir()
    together, where = {"devices": 2}, ("--devices", "cpu:2")
    expected = alone(tmp_path / "alone", TOGETHER, *where, **together)
    run = ClusterRun(tmp_path, TOGETHER, **{**pilots, **together, "jobs": 1})
    process = run.start(*where)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 2, said
    assert "asks for 0 GPUs and 2 CPUs" in said
    assert "the nodes have 1 CPUs and 0 GPUs" in said
    cluster.add_node(num_cpus=2)
    run.check(run.start(*where), expected)
