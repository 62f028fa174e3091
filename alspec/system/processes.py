"""Identifies processes, so that another one can find out later whether they still live."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import time
import uuid
from functools import cache
from pathlib import Path

ABANDONED_SECONDS = 86_400.0

JOB = "ALSPEC_JOB"
"""Environment variable: the name of the job of a cluster that names none itself."""

SUBMISSION = "ALSPEC_SUBMISSION"
"""Environment variable: names the command that started this run and others, as its pilots."""

_MARK = re.compile(r"([0-9a-f]{8})-(\d+)-[0-9a-f]{8}$")


@cache
def here() -> str:
    """Names this start of this machine and, in a container, its process numbers, in 8 digits.

    Machines are cloned with their host names; their boot times distinguish them.
    """
    try:
        numbers = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - no path, a name
    except OSError:
        numbers = ""
    return hashlib.sha256(f"{socket.gethostname()} {boot()} {numbers}".encode()).hexdigest()[:8]


def boot() -> str:
    """Identifies this boot of the machine; empty where the system does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""


def cluster_job() -> str:
    """The cluster's job that this process is part of, as `slurm-123_4`; empty outside of any."""
    job = os.environ.get("SLURM_ARRAY_JOB_ID") or os.environ.get("SLURM_JOB_ID")
    if not job:
        return os.environ.get(JOB, "")
    task = os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"slurm-{job}_{task}" if task else f"slurm-{job}"


def submission() -> str:
    """Names the user's command that this run is part of.

    It is the command that started this run as a pilot, else the user's own array of Slurm jobs,
    else this run alone.
    """
    named = os.environ.get(SUBMISSION) or os.environ.get("SLURM_ARRAY_JOB_ID")
    return named or uuid.uuid4().hex


def start_of(process: int) -> str:
    """When a process started; later ones of the same number differ. Empty if unknown."""
    fields = _fields(process)
    return fields[19] if len(fields) > 19 else ""


def is_alive(process: int) -> bool:
    """Whether a process of this machine is there; one that only waits to be reaped is not."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return _fields(process)[:1] != ["Z"]


def process_tag() -> str:
    """A name for something of this process, used once."""
    return f"{here()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


def is_abandoned(name: str) -> bool:
    """Whether a name ends in the mark of a process of this machine that is gone."""
    found = _MARK.search(name)
    return found is not None and found[1] == here() and not is_alive(int(found[2]))


def is_left_behind(path: Path) -> bool:
    """Whether a file on its way was left by a process that is gone.

    One of another machine, or of this one before it was restarted, has been when nothing
    touched the file for a day; writing one takes seconds.
    """
    if is_abandoned(path.name):
        return True
    found = _MARK.search(path.name)
    if found is None or found[1] == here():
        return False
    try:
        return time.time() - path.lstat().st_mtime > ABANDONED_SECONDS
    except OSError:
        return False


def _fields(process: int) -> list[str]:
    """State and numbers of a process, as the system lists them after its name."""
    try:
        text = Path(f"/proc/{process}/stat").read_text("utf-8", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()
