"""A study's steps on a cluster: checked here, done there by pilots that are watched from here."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from alspec.errors import InputError, Problem
from alspec.plan.config_file import TRUST_OPTION
from alspec.plan.step import Step, StepKey
from alspec.run.executors.pilots import Cluster, ClusterError, PilotCommand, workers_on_cpus
from alspec.run.executors.ray import RayCluster
from alspec.run.executors.slurm import Job, SlurmCluster, job_name
from alspec.run.loop import RunSummary
from alspec.run.study_steps import PreparedStudy, made
from alspec.run.watch import Watch
from alspec.spec.execution import Execution
from alspec.spec.load import locate_errors, variables
from alspec.spec.model import Study
from alspec.store.study_folder import StudyFolder

DEVICES = "cuda:0"
"""Of a pilot, by default."""


@dataclass(frozen=True)
class ClusterSteps:
    """Has pilots on a cluster do a study's steps; without `wait` they are started and left alone.

    Attributes:
        prepared: what comes before; its slots are those of all pilots.
        asked: of which cluster, and for what.
    """

    prepared: PreparedStudy
    asked: Execution

    def run(self, todo: Mapping[StepKey, Step]) -> RunSummary:
        """Start pilots for some steps and watch them; all is checked before the first.

        Raises:
            InputError: the cluster cannot be asked, or refuses; nothing was started.
        """
        before = self.prepared
        if not todo:
            before.check_data(todo)
            finished = before.folder.store.done(before.plan.steps)
            return RunSummary(finished_before=len(finished))
        cluster = cluster_of(before.study, before.folder, self.asked, before.options.of_pilots())
        try:
            pilots = self.asked.jobs or cluster.slots()
            before.check_disk_and_models(todo)
            with locate_errors(before.study), made(before.folder):
                leaks = before.check_data(todo)
            before.record(leaks)
            observer = before.log.then
            watch = Watch(before.plan, before.folder, cluster, observer, todo, pilots)
            before.log.steps_begin(before.costs(todo), waits=True)
            try:
                watch.begin()
                return watch.until_done() if before.options.wait else watch.left_alone()
            finally:
                before.log.steps_end()
        except ClusterError as err:
            raise InputError.at(cluster.name, str(err)) from err
        finally:
            cluster.close()


def cluster_of(
    study: Study, folder: StudyFolder, asked: Execution, options: Sequence[str]
) -> Cluster:
    """The cluster that a study asks for, ready to start its pilots.

    Args:
        study: as it was loaded, from a file that pilots can read as well.
        folder: the study's.
        asked: where it is to run.
        options: of every pilot's `alspec run`.

    Raises:
        InputError: the cluster is not to be reached from here, or the study came from no file.
    """
    origin = study._origin
    if origin is None:
        what = "was made in Python. Write it to a file and load that: pilots read the same"
        raise InputError.at(study.study, what)
    work_dir = folder.work_dir.absolute()
    command = PilotCommand(
        origin.path.absolute(), work_dir, origin.overrides, asked.slots or DEVICES, asked.idle,
        options,
    )  # fmt: skip
    name, logs = job_name(study.study, work_dir), folder.logs.absolute()
    if asked.executor == "slurm":
        job = Job(
            name, command.arguments(), command.submission, Path.cwd(), logs,
            gpus_of(command.devices), asked.slurm, workers_on_cpus(command.devices),
        )  # fmt: skip
        return SlurmCluster(job, folder.job_script.absolute())
    named = variables(origin.path, origin.overrides)
    environment = {name: os.environ[name] for name in named if name in os.environ}
    return RayCluster(command, gpus_of(command.devices), logs, asked.ray, environment)


def gpus_of(devices: str) -> int:
    """How many GPUs a pilot with these devices uses."""
    if devices.startswith("cpu"):
        return 0
    return len({re.sub(r"cuda:?|\*\d+", "", part) or "0" for part in devices.split(",")})


def require_trust_in_jobs(study: Study, asked: Execution, *, trusted: bool) -> None:
    """Refuse a spec whose lines for Slurm can run programs, unless the caller trusts it.

    Raises:
        InputError: as `execution.slurm.setup`, with the place of the line.
    """
    if trusted or asked.executor != "slurm":
        return
    problems = [
        Problem(
            field,
            f"`{getattr(asked.slurm, field)[index]}` can run programs. Read it, and if you trust "
            f"it add {TRUST_OPTION}",
            loc=("execution", "slurm", field, index),
        )
        for field, index in asked.slurm.code()
    ]
    if problems:
        with locate_errors(study):
            raise InputError(problems)
