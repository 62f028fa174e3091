"""Pilots as jobs of Slurm: one script, one array, nothing but `sbatch`, `squeue` and `scontrol`."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alspec.errors import InputError
from alspec.run.executors.pilots import Census, ClusterError
from alspec.spec.execution import CHECKPOINT_SECONDS, Slurm
from alspec.system.atomic import write_text
from alspec.system.processes import SUBMISSION

ANSWER_SECONDS = 120.0
"""Until a command of Slurm's is given up; it tries for a while itself to reach its controller."""

_CPUS, _GPUS = re.compile(r"--cpus-per-task\b|(^| )-c"), re.compile(r"--(gres|gpus)\b")
"""Options of a user's own lines that ask for these."""

_SCRIPT = """\
#!/bin/bash
{options}
# A pilot: does steps of the study until none is left, and is queued again before its time is up.
heard= again= pilot=
pass_on() {{ heard=$1; [ -z "$pilot" ] || kill -s "$1" "$pilot"; }}
trap 'again=yes; pass_on USR1' USR1
trap 'pass_on TERM' TERM
{setup}{submission} {command} &
pilot=$!
[ -z "$heard" ] || kill -s "$heard" "$pilot"  # it came before the pilot had a number
wait "$pilot"; code=$?
while [ -n "$heard" ]; do  # a signal ends `wait` before the pilot has ended
    heard=
    wait "$pilot"; code=$?
done
early=$((128 + $(kill -l USR1)))  # the pilot was not yet, or no longer, there to heed it
if [ -n "$again" ] && {{ [ "$code" -eq 75 ] || [ "$code" -eq "$early" ]; }}; then
    scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}"
fi
exit "$code"
"""


@dataclass(frozen=True, slots=True)
class Job:
    """One job, as often as pilots are wanted.

    Attributes:
        name: tells the jobs of a study from all others.
        command: of a pilot.
        submission: names the command that submits it, for `processes.submission`.
        folder: where it is started.
        logs: folder of what jobs print.
        gpus: of a job.
        asked: what the spec asks of Slurm.
        cpus: of a job whose spec asks for no number; None leaves it to the cluster.
    """

    name: str
    command: Sequence[str]
    submission: str
    folder: Path
    logs: Path
    gpus: int
    asked: Slurm
    cpus: int | None = None


def job_name(study: str, folder: Path) -> str:
    """A name for the jobs of one study in one folder.

    Args:
        study: its name.
        folder: its absolute folder.
    """
    return f"alspec-{study}-{hashlib.sha256(str(folder).encode()).hexdigest()[:8]}"


def job_script(job: Job, jobs: int) -> str:
    """The script of an array of jobs; depends on its arguments alone."""
    asked = job.asked
    own = " ".join(asked.lines)
    gpus = f"gpu:{asked.gpu}:{job.gpus}" if asked.gpu else f"gpu:{job.gpus}"
    wanted = {
        "job-name": job.name,
        "array": f"1-{jobs}",
        "chdir": str(job.folder),
        "output": f"{str(job.logs).replace('%', '%%')}/slurm-%A_%a.txt",
        "open-mode": "append",
        "requeue": "",
        "signal": f"B:USR1@{CHECKPOINT_SECONDS}",
        "partition": asked.partition,
        "account": asked.account,
        "time": asked.time,
        "gres": gpus if job.gpus and not _GPUS.search(own) else None,
        "cpus-per-task": asked.cpus or (None if _CPUS.search(own) else job.cpus),
        "mem": asked.memory,
    }
    options = [
        f"--{name}={_quoted(str(value))}" if value != "" else f"--{name}"
        for name, value in wanted.items()
        if value is not None
    ]
    return _SCRIPT.format(
        options="\n".join(f"#SBATCH {option}" for option in (*options, *asked.lines)),
        setup="".join(f"{line}\n" for line in asked.setup),
        submission=f"{SUBMISSION}={shlex.quote(job.submission)}",
        command=shlex.join(job.command),
    )


def _quoted(value: str) -> str:
    """A value as sbatch reads it from a script: in quotes where it has anything special."""
    if re.fullmatch(r"[\w@%+=:,./-]+", value):
        return value
    return '"' + re.sub(r'(["\\])', r"\\\1", value) + '"'


@dataclass(frozen=True, slots=True)
class SlurmCluster:
    """Starts and counts the jobs of one study.

    Attributes:
        job: what is started.
        script: where the script is written.
    """

    job: Job
    script: Path
    name: str = "Slurm"

    def __post_init__(self) -> None:
        """Raises InputError where Slurm's commands are not to be found."""
        missing = [each for each in ("sbatch", "squeue", "scontrol") if not shutil.which(each)]
        if missing:
            what = "is not found: this is no machine to submit Slurm jobs from. Nothing was done"
            raise InputError.at(", ".join(missing), what)

    def slots(self) -> int:
        """Nobody knows before they are queued."""
        raise ClusterError("say how many jobs to submit: --jobs N, or execution.jobs in the spec")

    def start(self, pilots: int) -> str:
        """Submit one array, or as many as the cluster's limit makes of it."""
        self.script.parent.mkdir(parents=True, exist_ok=True)
        limit = self.job.asked.array_size or _most_in_an_array()
        submitted: list[str] = []
        for first in range(0, pilots, limit):
            size = min(limit, pilots - first)
            write_text(self.script, job_script(self.job, size))
            try:
                said = _ask("sbatch", "--parsable", str(self.script))
            except ClusterError as err:
                for array in submitted:
                    _ask("scancel", array)
                raise ClusterError(f"{err}. Nothing was submitted") from err
            submitted.append(said.partition(";")[0].strip())
        return f"{pilots} jobs submitted to Slurm ({', '.join(submitted)})"

    def count(self) -> Census:
        """The jobs of this name that `squeue` lists."""
        asked = ["--noheader", "--array", "--name", self.job.name, "--format", "%T|%r"]
        said = _ask("squeue", "--user", str(os.getuid()), *asked)
        rows = [line.strip().partition("|") for line in said.splitlines() if line.strip()]
        why = Counter(reason for state, _, reason in rows if state == "PENDING")
        waiting = sum(why.values())
        reasons = ", ".join(reason for reason, _ in why.most_common(2) if reason != "None")
        return Census(len(rows) - waiting, waiting, reasons)

    def how_to_stop(self) -> str:
        """Jobs go on by themselves."""
        return f"its Slurm jobs go on; to end them: scancel --name={self.job.name}"

    def close(self) -> None:
        """Nothing: jobs need nobody that watches them."""


def _most_in_an_array() -> int:
    """Elements of an array that the cluster allows: MaxArraySize is above the last index."""
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", _ask("scontrol", "show", "config"), re.M)
    return max(1, int(found[1]) - 1) if found else 1000


def _ask(command: str, *arguments: str) -> str:
    """What a command of Slurm's says. Raises ClusterError with its own words if it fails."""
    try:
        done = subprocess.run(  # noqa: S603 - a command of the cluster's, no shell
            [shutil.which(command) or command, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=ANSWER_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ClusterError(f"{command} did not answer for {ANSWER_SECONDS:.0f} s") from None
    except OSError as err:
        raise ClusterError(f"{command} cannot be run ({err.strerror})") from None
    if done.returncode:
        said = [line.partition("error: ")[2] or line for line in done.stderr.splitlines()]
        raise ClusterError(f"{command}: {'; '.join(said[-2:]) or f'exit {done.returncode}'}")
    return done.stdout
