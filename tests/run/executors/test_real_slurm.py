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
from collections import Counter
from pathlib import Path

import pytest
from factories.cluster_runs import SECONDS, TOGETHER, ClusterRun, alone, quickstart

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


def jobs(*options):
    return slurm("squeue", "--noheader", "--array", "--format=%i", *options).split()


def running():
    return jobs("--states=RUNNING")


def restarts(job):
    found = re.search(r"Restarts=(\d+)", slurm("scontrol", "show", "job", job))
    return int(found[1]) if found else 0


def configured(name):
    """A value of the cluster's configuration."""
    return re.search(rf"{name}\s*=\s*(\S+)", slurm("scontrol", "show", "config"))[1]


def take_away(daemon, seconds):
    """Kill slurmctld or slurmd, and start it again after a while."""
    number = Path(configured(f"{daemon.capitalize()}PidFile")).read_text()
    os.kill(int(number), signal.SIGKILL)
    time.sleep(seconds)
    slurm(daemon, "-f", os.environ["SLURM_CONF"])
    time.sleep(5)
    node_is_back()


def node_is_back():
    slurm("scontrol", "update", f"nodename={NODE}", "state=resume")


def limit_time(minutes):
    for job in jobs():
        slurm("scontrol", "update", f"jobid={job}", f"timelimit={minutes}")


def preempted(run, process):
    """What Slurm does before a job's time is up: the pilot's checkpoint, then a requeue."""
    run.wait_for(running, process)
    job = running()[0]
    before = restarts(job)
    slurm("scancel", "--signal=USR1", "--batch", job)
    run.wait_for(lambda: restarts(job) > before, process)


def preempted_three_times(run, process):
    for _ in range(3):
        preempted(run, process)


def time_limit(run, process):
    """Slurm's own signal: less than three minutes are left of the jobs' time, for a while."""
    limit_time("3")
    run.wait_for(lambda: any(restarts(job) for job in jobs()), process)
    limit_time("UNLIMITED")


def pilot_out_of_memory(run, process):
    run.kill_pilot()


def worker_out_of_memory(run, process):
    """The step failed, and no pilot of this machine tries it again; the next command does."""
    os.kill(run.workers()[0], signal.SIGKILL)
    said, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 1, said
    assert list(Counter(run.events("lost")).values()) == [1]


def node_failed(run, process):
    slurm("scontrol", "update", f"nodename={NODE}", "state=down", "reason=test")
    time.sleep(5)
    node_is_back()


def node_daemon_killed(run, process):
    take_away("slurmd", 15)


def all_cancelled(run, process):
    slurm("scancel", "--me")


def one_cancelled(run, process):
    slurm("scancel", running()[0])


def requeued_by_the_site(run, process):
    job = running()[0]
    slurm("scontrol", "requeue", job)
    run.wait_for(lambda: restarts(job) > 0, process)


def suspended(run, process):
    """Both jobs, for a while: their leases stay theirs."""
    there = running()
    for job in there:
        slurm("scontrol", "suspend", job)
    time.sleep(30)
    for job in there:
        slurm("scontrol", "resume", job)


def controller_killed(run, process):
    """The jobs go on; the one that watches says so once, and goes on as well."""
    take_away("slurmctld", 40)


def partition_closed(run, process):
    """Jobs that are submitted again wait until it is open."""
    slurm("scontrol", "update", "partitionname=test", "state=down")
    try:
        slurm("scancel", "--me")
        run.wait_for(lambda: not running() and jobs(), process)
    finally:
        slurm("scontrol", "update", "partitionname=test", "state=up")


def watcher_killed(run, process):
    process.kill()
    process.wait()


def files_seen_late(run, process):
    """A network disk shows the last result half a minute after all jobs have ended."""
    process.send_signal(signal.SIGSTOP)
    store = run.folder / "work_dirs" / ".store"
    run.wait_for(lambda: not jobs(), process)
    last = max(store.glob("*/manifest.json"), key=lambda path: path.stat().st_mtime).parent
    hidden = last.rename(run.folder / "hidden")
    process.send_signal(signal.SIGCONT)
    time.sleep(30)
    hidden.rename(last)


FAULTS = [
    preempted, preempted_three_times, time_limit, pilot_out_of_memory, worker_out_of_memory,
    node_failed, node_daemon_killed, all_cancelled, one_cancelled, requeued_by_the_site, suspended,
    controller_killed, partition_closed, watcher_killed, files_seen_late,
]  # fmt: skip
SUBMITTED_AGAIN = {
    node_failed,
    all_cancelled,
    partition_closed,
    pilot_out_of_memory,
    watcher_killed,
    worker_out_of_memory,
    one_cancelled,
}
"""Faults that take jobs away: the command, or the user's next, may submit others."""


def test_nothing_happens(run, expected):
    assert "jobs submitted to Slurm" in run.check(run.start(), expected)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_study_survives(run, expected, fault):
    process = run.start()
    run.wait_for(lambda: len(run.events("done")) >= 2, process)
    fault(run, process)
    if process.poll() is not None:
        process = run.start()  # the same command
    said = run.check(process, expected)
    assert fault in SUBMITTED_AGAIN or said.count("jobs submitted to Slurm") == 1, said


def test_a_watcher_that_is_interrupted_finds_its_jobs_again(run, expected):
    process = run.start()
    run.wait_for(lambda: len(run.events("done")) >= 2, process)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=SECONDS)
    assert (process.returncode, "scancel --name=" in said) == (130, True), said
    assert len(jobs()) == 2
    said = run.check(run.start(), expected)
    assert "2 pilots of this study are there" in said
    assert "jobs submitted" not in said


def test_a_step_that_always_fails_is_tried_once_on_a_machine(run):
    process = run.start("--set", "training.lr=1e30")
    said, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 1, said
    failed = Counter(run.events("failed"))
    assert failed
    assert set(failed.values()) == {1}
    assert said.count("jobs submitted to Slurm") == 1


def test_a_partition_that_is_not_there(run):
    process = run.start("--set", "execution.slurm.partition=nowhere")
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 2
    assert "nvalid partition" in said
    assert said.count("error") == 1
    assert not running()


def test_the_quickstart_ends_in_the_same_bytes(tmp_path):
    (tmp_path / "alone").mkdir()
    expected = alone(tmp_path / "alone", quickstart(), "--devices", "cpu:2")
    run = ClusterRun(tmp_path, quickstart(), executor="slurm")
    run.check(run.start(), expected)


def test_a_training_of_two_devices_ends_in_the_same_bytes(tmp_path):
    (tmp_path / "alone").mkdir()
    together, where = {"devices": 2}, ("--devices", "cpu:2")
    expected = alone(tmp_path / "alone", TOGETHER, *where, **together)
    run = ClusterRun(tmp_path, TOGETHER, executor="slurm", jobs=1, **together)
    run.check(run.start(*where), expected)
