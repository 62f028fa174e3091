"""Looks at this machine: does what alspec needs work here?"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from alspec import plugins
from alspec.errors import PluginError
from alspec.run.devices import cpu_slots, visible_gpus
from alspec.store.leases import stale_seconds
from alspec.system.interpreter import python_command, python_environment
from alspec.system.mounts import file_system_of
from alspec.system.provenance import versions


@dataclass(frozen=True, slots=True)
class Finding:
    """One check; `needed` distinguishes an error from a remark."""

    name: str
    works: bool
    detail: str
    needed: bool = True


def examine(work_dir: Path) -> Iterator[Finding]:
    """Look at the machine, one finding after another; loads torch in a process of its own."""
    for package, version in versions().items():
        yield Finding(package, True, version)
    trial = subprocess.run(  # noqa: S603 - our own interpreter and code
        python_command("alspec.run.trial"),
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        env=python_environment(),
        check=False,
    )
    works = trial.returncode == 0
    detail = (trial.stdout if works else trial.stderr).strip().splitlines()[-1:]
    yield Finding("a segmentor's forward pass", works, " ".join(detail))
    if not works and "libGL" in trial.stderr:
        hint = "OpenCV needs libGL: install your system's package (Debian: libgl1)"
        yield Finding("libGL", False, hint)
    yield Finding("CPU workers", True, str(cpu_slots()))
    yield Finding("GPUs", bool(visible_gpus()), str(len(visible_gpus())), needed=False)
    free = shutil.disk_usage(work_dir if work_dir.exists() else Path()).free
    yield Finding("free disk", free > 1 << 30, f"{free / 1e9:.0f} GB", needed=False)
    kind_of_disk = file_system_of(work_dir) or "unknown"
    limit = f"{stale_seconds(work_dir):.0f} s without a heartbeat"
    yield Finding("file system", True, f"{kind_of_disk}; leases are taken over after {limit}")
    for group, kind in plugins.GROUPS.items():
        for plugin in plugins.declared(group):
            try:
                plugins.load(group, plugin.name)
            except PluginError as err:
                yield Finding(f"{kind} {plugin.name}", False, str(err), needed=False)
