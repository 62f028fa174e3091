"""A study on three nodes of Ray, while a pilot, a worker, a node or the driver is killed."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from factories.cluster_runs import ClusterRun, alone

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


def parent_of(process):
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def pilot(run, cluster, process):
    run.kill_pilot()


def worker(run, cluster, process):
    os.kill(parent_of(run.pilots()[0]), signal.SIGKILL)


def node(run, cluster, process):
    cluster.remove_node(cluster.list_all_nodes()[-1])


def driver(run, cluster, process):
    process.kill()
    process.wait()


@pytest.mark.parametrize("fault", [pilot, worker, node, driver])
def test_a_study_survives(run, cluster, expected, fault):
    process = run.start()
    run.wait_for(lambda: len(run.events("done")) >= 2 and len(run.pilots()) > 0, process)
    fault(run, cluster, process)
    if process.poll() is not None:
        process = run.start()
    run.check(process, expected)
