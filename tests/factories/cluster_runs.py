"""A study that pilots do on a cluster while something happens to it."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import yaml

from factories.toy import TOY

MEASURED = {"train_seconds", "acquire_seconds", "device"}
"""Columns of results.csv that say how fast a device was."""

SECONDS = 900
"""Longer than any run takes, with pilots started anew after each fault."""


class ClusterRun:
    """The tiny study in a folder, long enough for something to happen to it."""

    def __init__(self, folder: Path, epochs: int = 40, **execution: object) -> None:
        self.folder = folder
        training = {"epochs": epochs, "batch_size": 4, "lr": 0.01}
        where = {"devices": "cpu:1", "jobs": 2, "idle": "90s", **execution}
        spec = {**TOY, "ssl": [False], "seeds": [0, 1], "training": training, "execution": where}
        (folder / "study.yaml").write_text(yaml.safe_dump(spec))

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
        path = self.folder / "work_dirs" / "tiny" / "events.jsonl"
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

    def check(self, process: subprocess.Popen[str], expected: list[dict[str, str]]) -> str:
        """All is done, nothing twice, and the same as on one machine; what the command said."""
        said, _ = process.communicate(timeout=SECONDS)
        assert process.returncode == 0, said
        twice = [step for step, times in Counter(self.events("done")).items() if times > 1]
        assert not twice
        assert self.results() == expected
        return said

    def results(self) -> list[dict[str, str]]:
        """The rows of results.csv without what a clock says."""
        with (self.folder / "work_dirs" / "tiny" / "results.csv").open() as file:
            return [
                {name: value for name, value in row.items() if name not in MEASURED}
                for row in csv.DictReader(file)
            ]


def alone(folder: Path) -> list[dict[str, str]]:
    """The results of the study on this machine."""
    run = ClusterRun(folder)
    process = run.start("--executor", "local")
    said, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, said
    return run.results()


def _parent_of(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0
