"""Where a spec's steps run; of this block, `devices: N` alone changes numbers and keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from alspec.spec.fields import Frozen

DEVICES_PATTERN = r"^(cpu(:[0-9]+)?|(cuda:)?[0-9]+(\*[0-9]+)?|cuda(\*[0-9]+)?)(,[a-z0-9:*]+)*$"
MOST_DEVICES = 64
"""Of one training: they are on one machine."""

DURATION_PATTERN = r"^[0-9]+(\.[0-9]+)? ?[smh]?$"
WORD_PATTERN = r"^[!-~]+$"


def _as_text(value: object) -> object:
    """`time: 60` and `memory: 4000` are written without quotes."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Word: TypeAlias = Annotated[str, BeforeValidator(_as_text), Field(pattern=WORD_PATTERN)]
"""Text without spaces, as an option of a command takes it."""

Duration: TypeAlias = Annotated[str, BeforeValidator(_as_text), Field(pattern=DURATION_PATTERN)]


def _devices(value: object) -> object:
    """A number of devices for each training, or devices as text."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if is_number and 1 <= int(str(value)) <= MOST_DEVICES:
        return value
    if isinstance(value, str) and re.match(DEVICES_PATTERN, value):
        return value
    got = f"the text `{value}`" if isinstance(value, str) else str(value).lower()
    raise PydanticCustomError(
        "devices",
        "expected devices as cpu, cpu:4, cuda:0, cuda:0,1 or cuda:0*3, or how many of them each "
        "training takes, from 1 to {most}; got {got}",
        {"most": MOST_DEVICES, "got": got},
    )


Devices: TypeAlias = Annotated[
    int | str,
    BeforeValidator(_devices),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": MOST_DEVICES},
                {"type": "string", "pattern": DEVICES_PATTERN},
            ]
        }
    ),
]

_OPTION = re.compile(r"(?:#SBATCH\s+)?(?P<option>--?(?P<name>[A-Za-z][A-Za-z-]*)(?:[= ].*)?)")

_OURS = re.compile(
    "array|job-name|output|error|input|open-mode|(no-)?requeue|signal|chdir|wrap|parsable|[aJoeiD]"
)
"""Options of sbatch that make a job a pilot of its study."""

_RESOURCES = re.compile(
    "account|begin|clusters|comment|constraint|core-spec|cores-per-socket|cpu-freq|cpus-per-gpu|"
    "cpus-per-task|deadline|dependency|exclude|exclusive|gpu-bind|gpu-freq|gpus|gpus-per-node|"
    "gpus-per-socket|gpus-per-task|gres|gres-flags|hint|licenses|mail-type|mail-user|mem|"
    "mem-bind|mem-per-cpu|mem-per-gpu|mincpus|nice|nodelist|nodes|ntasks|ntasks-per-node|"
    "oversubscribe|partition|power|prefer|priority|qos|reservation|sockets-per-node|switches|"
    "threads-per-core|time|time-min|tmp|use-min-nodes|verbose|wckey|[ACcGLMNnpqstwx]"
)
"""Options of sbatch that ask for resources and can do nothing else."""


CHECKPOINT_SECONDS = 180
"""Before the end of a job's time, when Slurm asks the pilot to write a checkpoint."""

SHORTEST_JOB_SECONDS = 300
"""Slurm may signal a job a minute early; below this it is signalled before it has done a thing,
queued again, and so on for ever."""

_TIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<first>\d+)(?::(?P<second>\d+))?(?::(?P<third>\d+))?")


def seconds_of_limit(text: str) -> int | None:
    """A time limit as sbatch reads it, in seconds; None for no limit and for what is none.

    Args:
        text: minutes, minutes:seconds, hours:minutes:seconds, days-hours, days-hours:minutes or
            days-hours:minutes:seconds.
    """
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    first, second, third = (int(found[name] or 0) for name in ("first", "second", "third"))
    if found["days"] or found["third"]:
        return (24 * int(found["days"] or 0) + first) * 3600 + 60 * second + third or None
    return 60 * first + second or None


def _long_enough(text: str) -> str:
    """A time limit that leaves a job time to work before it is signalled."""
    seconds = seconds_of_limit(text)
    if seconds is not None and seconds < SHORTEST_JOB_SECONDS:
        raise PydanticCustomError(
            "time",
            "`{text}` is {seconds} s to Slurm. Jobs are signalled {before} s before their time is "
            "up, to write a checkpoint; this one would have done nothing by then. Ask for "
            "{minutes} minutes or more",
            {
                "text": text,
                "seconds": seconds,
                "before": CHECKPOINT_SECONDS,
                "minutes": SHORTEST_JOB_SECONDS // 60,
            },
        )
    return text


def _option(value: object) -> object:
    """An option of sbatch, with or without `#SBATCH` before it."""
    if not isinstance(value, str):
        return value
    found = _OPTION.fullmatch(value.strip())
    if found is None or not value.isprintable():
        raise PydanticCustomError(
            "option", "`{text}` is no option of sbatch; write it as --constraint=a100",
            {"text": ascii(value)[1:-1]},
        )  # fmt: skip
    if _OURS.fullmatch(found["name"]):
        raise PydanticCustomError(
            "option", "`{text}` is set by alspec; leave it out", {"text": found["option"]}
        )
    if found["name"] in ("time", "time-min", "t"):
        _long_enough(re.sub(r"^--?[a-z-]+[= ]*", "", found["option"]))
    return found["option"]


def _shell_line(value: object) -> object:
    if isinstance(value, str) and not value.isprintable():
        raise PydanticCustomError("shell", "one line of shell each, of printable characters", {})
    return value


class Slurm(Frozen):
    """What `sbatch` is asked for, for each job; without a value the cluster's default."""

    partition: Word | None = Field(default=None, description="as sbatch --partition")
    account: Word | None = Field(default=None, description="as sbatch --account")
    time: Annotated[Word, AfterValidator(_long_enough)] | None = Field(
        default=None, description="limit of a job, as 4:00:00 or 2-12; 5 minutes or more"
    )
    gpu: Word | None = Field(default=None, description="type of GPU, as a100; any without")
    cpus: int | None = Field(default=None, ge=1, description="CPUs of a job")
    memory: Word | None = Field(default=None, description="memory of a job, as 32G")
    array_size: int | None = Field(
        default=None, ge=1, description="most jobs in an array; MaxArraySize of the cluster without"
    )
    lines: tuple[Annotated[str, BeforeValidator(_option)], ...] = Field(
        default=(), description="more options of sbatch, as --constraint=nvlink"
    )
    setup: tuple[Annotated[str, BeforeValidator(_shell_line)], ...] = Field(
        default=(), description="shell lines before alspec, as `module load cuda`: --trust-config"
    )

    def code(self) -> Iterator[tuple[str, int]]:
        """Field and index of what can run programs, so that a user must trust it."""
        yield from (("setup", index) for index in range(len(self.setup)))
        for index, line in enumerate(self.lines):
            found = _OPTION.fullmatch(line)
            if found is None or not _RESOURCES.fullmatch(found["name"]):
                yield "lines", index


class Ray(Frozen):
    """Which Ray cluster is used, and what a task takes of it."""

    address: Word | None = Field(
        default=None, description="of the cluster, as auto or ray-head:6379; one here without"
    )
    cpus: int | None = Field(default=None, ge=1, description="CPUs of a task")


class Execution(Frozen):
    """Where steps run: on this machine, or by pilots on a cluster."""

    executor: Literal["local", "slurm", "ray"] = Field(
        default="local", description="what runs the steps: this machine, Slurm jobs or Ray tasks"
    )
    devices: Devices | None = Field(
        default=None,
        description="as --devices; on a cluster those of one job, cuda:0 without. A number: so "
        "many devices train each model together",
    )
    jobs: int | None = Field(default=None, ge=1, description="as --jobs: pilots on a cluster")
    idle: Duration = Field(
        default="15m", description="a pilot that found nothing to do for so long ends"
    )
    slurm: Slurm = Field(default_factory=Slurm, description="of executor slurm")
    ray: Ray = Field(default_factory=Ray, description="of executor ray")

    @property
    def devices_a_training(self) -> int:
        """Devices that train a model together; part of the keys of trainings where above 1."""
        return self.devices if isinstance(self.devices, int) else 1

    @property
    def slots(self) -> str | None:
        """Devices as `--devices` takes them; None where the machine or the cluster decides."""
        if not isinstance(self.devices, int):
            return self.devices
        if self.executor == "local" or self.devices == 1:
            return None
        return "cuda:" + ",".join(map(str, range(self.devices)))
