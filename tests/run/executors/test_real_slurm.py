"""A study on a real Slurm, while jobs, node and controller are taken away: `SLURM_CONF` names it.

The node is expected to be this machine, and to have two CPUs.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time

import pytest
from factories.cluster_runs import ClusterRun, alone

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.skipif(
        not (os.environ.get("SLURM_CONF") and shutil.which("sbatch")),
        reason="needs a running Slurm, whose slurm.conf SLURM_CONF names",
    ),
]


NODE = os.uname().nodename.partition(".")[0]


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return alone(tmp_path_factory.mktemp("alone"))


@pytest.fixture
def run(tmp_path):
    made = ClusterRun(tmp_path, executor="slurm")
    yield made
    slurm("scancel", "--me")


def slurm(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def running():
    return slurm("squeue", "--noheader", "--array", "--states=RUNNING", "--format=%i").split()


def restarted(job):
    return "Restarts=0" not in slurm("scontrol", "show", "job", job)


def preempted(run, process):
    """What Slurm does before a job's time is up: the pilot's checkpoint, then a requeue."""
    run.wait_for(lambda: len(running()) == 2, process)
    job = running()[0]
    slurm("scancel", "--signal=USR1", "--batch", job)
    run.wait_for(lambda: restarted(job), process)


def out_of_memory(run, process):
    run.kill_pilot()


def node_failed(run, process):
    slurm("scontrol", "update", f"nodename={NODE}", "state=down", "reason=test")
    time.sleep(5)
    slurm("scontrol", "update", f"nodename={NODE}", "state=resume")


def cancelled(run, process):
    slurm("scancel", "--me")


def controller_killed(run, process):
    """The jobs go on; the one that watches says so once, and goes on as well."""
    said = slurm("scontrol", "show", "config")
    pid_file = re.search(r"SlurmctldPidFile\s*=\s*(\S+)", said)[1]
    with open(pid_file) as file:  # noqa: PTH123
        os.kill(int(file.read()), signal.SIGKILL)
    time.sleep(40)
    slurm("slurmctld", "-f", os.environ["SLURM_CONF"])
    time.sleep(5)
    slurm("scontrol", "update", f"nodename={NODE}", "state=resume")


def watcher_killed(run, process):
    process.kill()
    process.wait()


FAULTS = [preempted, out_of_memory, node_failed, cancelled, controller_killed, watcher_killed]


def test_nothing_happens(run, expected):
    assert "jobs submitted to Slurm" in run.check(run.start(), expected)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_study_survives(run, expected, fault):
    process = run.start()
    run.wait_for(lambda: len(run.events("done")) >= 2, process)
    fault(run, process)
    if process.poll() is not None:
        process = run.start()  # the same command
    run.check(process, expected)


def test_a_partition_that_is_not_there(run):
    process = run.start("--set", "execution.slurm.partition=nowhere")
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 2
    assert "nvalid partition" in said
    assert said.count("error") == 1
    assert not running()
