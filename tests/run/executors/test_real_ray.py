"""A study on three nodes of Ray, while pilots, workers, nodes and the driver are killed."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from factories.cluster_runs import ClusterRun, alone
from factories.toy import TOY

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
def run(tmp_path, cluster):
    return ClusterRun(tmp_path, executor="ray", ray={"address": cluster.address}, jobs=3)


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
    study = Study.model_validate({**TOY, "ssl": [False], "seeds": [0, 1]})
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
