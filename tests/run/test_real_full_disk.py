"""A disk that is really full under a real run: checkpoints, weights, and the run after it."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
import yaml
from factories.disk import disk_of
from factories.toy import TOY

from alspec.run.executors.worker import KEEP_ITERATIONS
from alspec.store.study_folder import StudyFolder

STUDY = {
    **TOY, "methods": ["random"], "ssl": [False], "baselines": [], "keep": "all",
    "budgets": [{"name": "20-20", "initial": 20, "step": 20, "cycles": 1}],
    "training": {"epochs": 4, "batch_size": 4, "lr": 0.01},
}  # fmt: skip
WEIGHTS = 3_310_000
"""Bytes of one training's weights; a checkpoint has the momentum beside them."""

TOLD = r"weights\.safetensors: No space left on device: (\S+) bytes to write, (\S+) free"


@pytest.fixture
def disk(tmp_path):
    """A small disk of its own."""
    with disk_of(tmp_path / "disk", "16m") as path:
        yield path


def leave(disk, free):
    room = os.statvfs(disk)
    (disk / "ballast").write_bytes(bytes(max(0, room.f_bavail * room.f_frsize - free)))


FILLED_LATER = """
from alspec.run.preflight import disk as room
room.require_disk_space = lambda _: ""  # as if there had been room when the run started
from alspec.cli.main import main
main()
"""


def run(home, work_dir, start=("-m", "alspec")):
    ended = subprocess.run(
        [sys.executable, *start, "run", "study.yaml", "--devices", "cpu:1",
         "--work-dir", str(work_dir)],
        cwd=home,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", KEEP_ITERATIONS: "1"},
    )  # fmt: skip
    return ended.returncode, ended.stdout, " ".join(ended.stderr.split())


@pytest.mark.slow
def test_a_real_training_on_a_full_disk_and_on_one_with_room_for_its_weights(tmp_path, disk):
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(STUDY))
    whole, work_dir = tmp_path / "whole", disk / "work"
    assert run(tmp_path, whole)[0] == 0

    leave(disk, WEIGHTS // 2)  # room for neither checkpoint nor weights
    assert run(tmp_path, work_dir)[0] == 2
    code, out, err = run(tmp_path, work_dir, ("-c", FILLED_LATER))
    assert code == 1
    assert "1 failed" in out
    told = re.search(TOLD, err)
    assert told, err
    needed, free = (int(number.replace(",", "")) for number in told.groups())
    assert free <= WEIGHTS // 2 < WEIGHTS * 0.99 < needed < WEIGHTS * 1.01
    assert "Free some of its disk and run again" in err
    assert "Traceback" not in err
    store = StudyFolder(work_dir, "tiny").store
    assert [*store.root.glob("drafts/*"), *store.root.glob("checkpoints/*/*")] == []

    (disk / "ballast").unlink()
    leave(disk, WEIGHTS * 8 // 5)  # room for the weights, and none for a checkpoint
    code, out, err = run(tmp_path, work_dir)
    assert code == 0, err
    assert "done: no checkpoint at iteration 1, the training continues" in err
    assert "No space left on device" in err
    for name in ("classes", "runs"):
        made, expected = (folder / f"tiny/{name}.csv" for folder in (work_dir, whole))
        assert made.read_bytes() == expected.read_bytes()
    before = StudyFolder(whole, "tiny").store
    for path in before.root.glob("*/weights.safetensors"):
        key, name = path.parent.name, path.name
        assert store.artifacts(key)[name] == before.artifacts(key)[name]
