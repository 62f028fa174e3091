"""Power cuts in real runs on a real disk: no finished step is lost, the end has the same bytes."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml
from factories.power import Disk, can_cut_power
from factories.toy import TOY

from alspec.errors import StoreError
from alspec.run.executors.worker import KEEP_ITERATIONS
from alspec.store.manifest import MANIFEST
from alspec.store.study_folder import StudyFolder
from alspec.system import failpoints

TRAINING = {"epochs": 6, "batch_size": 4, "lr": 0.01}
STUDIES: Mapping[str, Mapping[str, object]] = {
    "one device a training": {
        "methods": ["random", "entropy"], "ssl": [True], "baselines": [], "keep": "all",
        "training": TRAINING,
    },
    "two devices a training": {
        "methods": ["entropy"], "ssl": [True], "baselines": [], "keep": "all",
        "training": TRAINING, "execution": {"devices": 2},
    },
}  # fmt: skip
POINTS = (
    "commit.manifest", "commit.rename", "commit.renamed", "checkpoint.write", "checkpoint.verify",
    "checkpoint.saved", "checkpoint.clear", "train.save", "evaluate.save", "acquire.save",
    "step.ended", "retention.write", "lease.linked", "recipe.write", "publish.tables",
)  # fmt: skip
"""Where a process stands still until the power is cut; half of the cuts come at any time."""

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.skipif(not can_cut_power(), reason="needs root, ext4 and loop devices"),
]


def begin(home: Path, fault: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", KEEP_ITERATIONS: "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "alspec", "run", "study.yaml", "--devices", "cpu:2"],
        cwd=home,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**environment, failpoints.FAULT: fault},
        start_new_session=True,
    )


def family(pid: int) -> list[int]:
    """A process and its children."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [pid, *map(int, children.split())]


def stands_still(pid: int) -> bool:
    for one in family(pid):
        try:
            state = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state == "T":
            return True
    return False


def finished(folder: StudyFolder) -> set[str]:
    """The steps of which a run has said that they are done."""
    events, _ = folder.events_from(0)
    return {str(event["key"]) for event in events if event["event"] == "done"}


def lost(folder: StudyFolder, keys: set[str]) -> set[str]:
    """Those of some steps that are not there any more, or not whole."""
    gone = set()
    for key in keys:
        try:
            for name in folder.store.artifacts(key):
                folder.store.file(key, name)  # against its SHA-256
        except (StoreError, OSError, LookupError):
            gone.add(key)
    return gone


def results_of(folder: StudyFolder) -> dict[str, str]:
    """The SHA-256 of what steps made that is no time, as their manifests say."""
    found = {}
    for path in folder.store.root.glob(f"*/{MANIFEST}"):
        for name, about in json.loads(path.read_text())["files"].items():
            if not name.endswith(".json"):
                found[f"{path.parent.name}/{name}"] = json.dumps(about, sort_keys=True)
    return found


def cut_once(disk: Disk, home: Path, fault: str, seconds: float) -> tuple[set[str], int | None]:
    """Run until the power is cut; the steps finished before, and the exit code if it ended."""
    folder = StudyFolder(home / "work_dirs", "tiny")
    process = begin(home, fault)
    until = time.monotonic() + seconds
    while time.monotonic() < until and process.poll() is None and not stands_still(process.pid):
        time.sleep(0.02)
    ended, pids = process.poll(), family(process.pid)
    done = finished(folder)
    disk.cut()
    for pid in pids:
        try:
            os.killpg(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.communicate()
    for _ in range(500):
        if not any(Path(f"/proc/{pid}").exists() for pid in pids):
            break
        time.sleep(0.02)
    disk.on_again()
    return done, ended


def moments(rng: random.Random) -> Iterator[tuple[str, float]]:
    """A point with the longest time to wait for it, or any time."""
    while True:
        yield "", rng.uniform(4.0, 25.0)
        yield f"{rng.choice(POINTS)}:{rng.randint(1, 3)}:stop", 60.0


def sweep(disk: Disk, spec: Mapping[str, object], cuts: int, seed: int) -> Counter[str]:
    """Cut the power so often, in studies that are all run to their end; counts of what was seen."""
    seen: Counter[str] = Counter()
    spec = {**TOY, **spec}
    home = disk.root / "whole"
    home.mkdir()
    (home / "study.yaml").write_text(yaml.safe_dump(spec))
    assert begin(home, "").wait() == 0
    expected = results_of(StudyFolder(home / "work_dirs", "tiny"))
    rng = random.Random(seed)
    when = moments(rng)
    while seen["cuts"] < cuts:
        home = disk.root / f"study{seen['studies']}"
        home.mkdir()
        (home / "study.yaml").write_text(yaml.safe_dump(spec))
        os.sync()
        seen["studies"] += 1
        folder, before = StudyFolder(home / "work_dirs", "tiny"), set[str]()
        ended = None
        while ended != 0:
            fault, seconds = next(when) if seen["cuts"] < cuts else ("", 600.0)
            done, ended = cut_once(disk, home, fault, seconds)
            seen["cuts"] += 1
            seen["cuts at a point"] += bool(fault) and ended is None
            before |= done
            gone = lost(folder, before)
            seen["finished steps checked"] += len(before)
            seen["lost"] += len(gone)
            print(f"{seen['cuts']}: {fault or f'{seconds:.0f} s'}, exit {ended}, "
                  f"{len(before)} finished, {len(gone)} lost", flush=True)  # fmt: skip
            assert not gone
            assert ended in (None, 0), ended
        assert results_of(folder) == expected
        seen["same bytes"] += 1
        shutil.rmtree(home)
    return seen


@pytest.mark.parametrize("name", STUDIES)
def test_no_finished_step_is_lost_and_the_end_has_the_same_bytes(tmp_path: Path, name: str) -> None:
    disk = Disk(tmp_path / "power")
    try:
        seen = sweep(disk, STUDIES[name], cuts=6, seed=7)
    finally:
        disk.close()
    assert seen["lost"] == 0
    assert seen["same bytes"] == seen["studies"]
