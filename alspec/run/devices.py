"""Device slots of this machine, found without loading torch."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from alspec.errors import InputError, Problem

MOST_READERS = 8
"""Threads that decode for one worker, at most."""

_PART = re.compile(r"(?:(?P<kind>cpu|cuda)(?::(?P<index>\d+))?|(?P<next>\d+))(?:\*(?P<times>\d+))?")
"""A part of `--devices`: `cpu:4` counts workers, `cuda:1` names a GPU, `*3` workers on it."""


def cpu_slots() -> int:
    """Workers that fit on the CPUs this process may use: one a core, each with one thread.

    One thread a worker makes results independent of the number of cores, and small networks
    train faster as several single-threaded steps than as one many-threaded step.
    """
    seen = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota()
    return seen if quota is None else max(1, min(seen, math.ceil(quota - 0.01)))


def cpu_quota(control: Path = Path("/sys/fs/cgroup")) -> float | None:
    """CPUs that the container's control groups allow, in both versions; None without a limit.

    Args:
        control: where control groups are mounted.
    """
    group = ""
    with suppress(OSError, StopIteration):
        lines = Path("/proc/self/cgroup").read_text("utf-8").splitlines()
        group = next(line[3:] for line in lines if line.startswith("0::"))
    found = []
    inner = control / group.lstrip("/")
    for folder in (control, *(p for p in (inner, *inner.parents) if p.is_relative_to(control))):
        with suppress(OSError, ValueError, IndexError, ZeroDivisionError):
            allowed, period = (folder / "cpu.max").read_text("ascii").split()[:2]
            found.append(int(allowed) / int(period))  # `max` is no number
    for folder in (control / "cpu", control / "cpu,cpuacct", control):
        with suppress(OSError, ValueError, ZeroDivisionError):
            allowed = (folder / "cpu.cfs_quota_us").read_text("ascii")
            period = (folder / "cpu.cfs_period_us").read_text("ascii")
            found.append(int(allowed) / int(period))
    return min((quota for quota in found if quota > 0), default=None)


def visible_gpus() -> list[int]:
    """The GPUs of this machine, as CUDA_VISIBLE_DEVICES leaves them."""
    found = [path for path in Path("/dev").glob("nvidia*") if re.fullmatch(r"nvidia\d+", path.name)]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return list(range(len(found)))
    return list(range(len([name for name in visible.split(",") if name.strip() not in ("", "-1")])))


def readers_beside(workers: int) -> int:
    """Threads that each of some workers has to decode ahead, on cores where none computes."""
    return min(MOST_READERS, max(0, cpu_slots() // max(1, workers) - 1))


def parse_devices(text: str | None, *, here: bool = True) -> list[str]:
    """Workers from `--devices`: `cpu`, `cpu:4`, `cuda:0`, `cuda:0,1`, `cuda:0*3` (3 on one GPU).

    Nothing given means one worker on every GPU that is there, or else the CPU.

    Args:
        text: as the user wrote it.
        here: on this machine, whose GPUs are looked at; else one GPU if nothing is given.

    Returns:
        One device name a worker, as torch spells it.

    Raises:
        InputError: the text is none of these, or names a GPU that is not there.
    """
    if text is None and not here:
        return ["cuda:0"]
    if text is None:
        gpus = visible_gpus()
        return [f"cuda:{index}" for index in gpus] if gpus else ["cpu"] * cpu_slots()
    slots: list[str] = []
    kind = ""
    for part in text.split(","):
        match = _PART.fullmatch(part.strip())
        kind = (match["kind"] or kind) if match else ""
        refused = kind == "cpu" and match is not None and (match["next"] or match["times"])
        if match is None or not kind or refused:
            raise InputError.at(
                "--devices",
                f"`{text}` is not understood. Use cpu, cpu:4, cuda:0, cuda:0,1, or cuda:0*3 for "
                "3 workers on one GPU",
            )
        if kind == "cpu":
            slots += ["cpu"] * (int(match["index"]) if match["index"] else cpu_slots())
        else:
            slots += [f"cuda:{match['index'] or match['next'] or 0}"] * int(match["times"] or 1)
    if not slots:
        raise InputError.at("--devices", f"`{text}` names no worker")
    if here:
        _check_gpus(slots)
    return slots


def require_room(slots: Sequence[str], devices: int) -> None:
    """Refuse to begin what would wait for ever: a training of more devices than there are.

    Args:
        slots: one device name a worker, of one machine.
        devices: that a training takes together.

    Raises:
        InputError: as `execution.devices`, with its place in the spec.
    """
    there = most_together(slots)
    if devices <= there:
        return
    names = ", ".join(dict.fromkeys(slots))
    what = (
        f"a training takes {devices} devices together, but `--devices` gives {there} ({names}). "
        f"Name {devices} of one machine, as cuda:{','.join(map(str, range(devices)))} or "
        f"cpu:{devices}, or set execution.devices to fewer"
    )
    raise InputError([Problem("execution.devices", what, loc=("execution", "devices"))])


def most_together(slots: Sequence[str]) -> int:
    """Devices that one training can have: different GPUs, or workers of the processor."""
    gpus = {slot for slot in slots if slot != "cpu"}
    return max(len(gpus), sum(slot == "cpu" for slot in slots))


def _check_gpus(slots: list[str]) -> None:
    """Raises InputError for a GPU that cannot be there; what the driver hides is left to torch."""
    wanted = {int(slot.partition(":")[2]) for slot in slots if slot != "cpu"}
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1")
    others = any(Path(path).exists() for path in ("/dev/dxg", "/dev/kfd")) or os.name == "nt"
    if not wanted or (others and not hidden):
        return
    there = len(visible_gpus())
    if max(wanted) >= there:
        what = f"cuda:{max(wanted)} does not exist; this machine has {there} GPUs"
        raise InputError.at("--devices", f"{what}. `--devices cpu` always works")
