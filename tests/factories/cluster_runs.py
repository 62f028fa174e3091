"""A study that pilots do on a cluster while something happens to it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import yaml

from alspec.store.study_folder import StudyFolder
from factories.results import results_of
from factories.toy import TOY

TINY = {
    **TOY,
    "ssl": [False],
    "seeds": [0, 1],
    "training": {"epochs": 40, "batch_size": 4, "lr": 0.01},
}
"""Long enough for something to happen to it."""

TOGETHER = {
    **TOY,
    "methods": ["random"],
    "ssl": [False],
    "budgets": [{"name": "one", "unit": "images", "initial": 8, "step": 4, "cycles": 1}],
    "training": {"epochs": 10, "batch_size": 4, "lr": 0.01},
}
"""Small, for trainings of several devices."""

SECONDS = 900
"""Longer than any run takes, with pilots started anew after each fault."""


class ClusterRun:
    """A study in a folder, to be done by pilots.

    Args:
        folder: an empty one.
        study: as in a spec's file.
        execution: what else its block of this name says.
    """

    def __init__(
        self, folder: Path, study: Mapping[str, object] = TINY, **execution: object
    ) -> None:
        self.folder = folder
        self.study = StudyFolder(folder / "work_dirs", str(study["study"]))
        where = {"devices": "cpu:1", "jobs": 2, "idle": "90s", **execution}
        (folder / "study.yaml").write_text(yaml.safe_dump({**study, "execution": where}))

    def start(self, *options: str) -> subprocess.Popen[str]:
        """The command, as a user types it."""
        return subprocess.Popen(
            [sys.executable, "-m", "alspec", "run", "study.yaml", *options],
            cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def wait_for(self, happened: Callable[[], bool], process: subprocess.Popen[str]) -> None:
        """Until something is so; fails when the command ends before."""
        end = time.monotonic() + SECONDS
        while not happened():
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < end
            time.sleep(0.1)

    def events(self, kind: str) -> list[str]:
        """Labels of the steps that this happened to."""
        path = self.study.events
        lines = path.read_text().splitlines() if path.exists() else []
        return [one["step"] for one in map(json.loads, lines) if one["event"] == kind]

    def pilots(self) -> list[int]:
        """Process numbers of the pilots of this folder."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                command = (entry / "cmdline").read_bytes().decode().split("\0")
            except OSError:
                continue
            if "alspec" in command[1:4] and str(self.folder / "study.yaml") in command:
                found.append(int(entry.name))
        return found

    def workers(self) -> list[int]:
        """Process numbers of these pilots' workers."""
        pilots = self.pilots()
        return [
            int(entry.name)
            for entry in Path("/proc").glob("[0-9]*")
            if _parent_of(entry) in pilots and int(entry.name) not in pilots
        ]

    def kill_pilot(self) -> None:
        """As the kernel does where memory runs out."""
        os.kill(self.pilots()[0], signal.SIGKILL)

    def check(self, process: subprocess.Popen[str], expected: Mapping[str, object]) -> str:
        """All is done, nothing twice, and the same as on one machine; what the command said."""
        said, _ = process.communicate(timeout=SECONDS)
        assert process.returncode == 0, said
        twice = [step for step, times in Counter(self.events("done")).items() if times > 1]
        assert not twice
        assert results_of(self.study) == expected
        return said


def alone(
    folder: Path, study: Mapping[str, object] = TINY, *options: str, **execution: object
) -> dict[str, object]:
    """The results of a study on this machine."""
    run = ClusterRun(folder, study, **execution)
    process = run.start("--executor", "local", *options)
    said, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, said
    return results_of(run.study)


def quickstart() -> dict[str, object]:
    """The spec that `alspec init` writes, as a whole."""
    path = Path(__file__).parents[2] / "specs" / "quickstart.yaml"
    spec: dict[str, object] = yaml.safe_load(path.read_text("utf-8"))
    return spec


def _parent_of(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0
