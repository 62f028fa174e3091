"""The disk before a run: refused, warned of, or large enough; and need against what is used."""

from __future__ import annotations

import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest
import yaml
from factories.disk import disk_of
from factories.toy import TOY
from fakes.trainer import FakeTrainer, Heard, drawn, tiny_plan

from alspec.errors import ExitCode, InputError
from alspec.plan.cost.disk import WEIGHT_BYTES, DiskNeed, cache_bytes
from alspec.plan.step import Step
from alspec.run.executors.base import Ended, Outcome, Workplace
from alspec.run.loop import run
from alspec.run.preflight.disk import DiskSpaceCheck, disk_space_for, in_words, require_disk_space
from alspec.store.store import Store
from alspec.system import failpoints
from alspec.system.atomic import describe_os_error, files_left, write_text

GB = 10**9
Usage = namedtuple("Usage", "total used free")


def room(free, least=100 * GB, spare=0, known=True):
    return DiskSpaceCheck(Path("/data"), DiskNeed(least, least + spare, least, known), free)


def test_a_disk_that_is_clearly_too_small_is_refused():
    with pytest.raises(InputError) as caught:
        require_disk_space(room(79 * GB))
    words = str(caught.value)
    for part in ("100 GB", "79 GB", "/data", "--work-dir", "keep: none", "Free space"):
        assert part in words


def test_a_disk_that_is_about_large_enough_is_told_of():
    for free in (81, 119):
        assert "may become full" in require_disk_space(room(free * GB))
    assert require_disk_space(room(121 * GB)) == ""
    assert require_disk_space(room(10, least=0)) == ""


def test_a_disk_too_small_for_checkpoints_and_decoded_images_is_told_of():
    told = require_disk_space(room(121 * GB, spare=50 * GB))
    assert "needs 100 GB at its fullest, and 50 GB more for checkpoints and decoded images" in told
    assert "starts anew" in told
    assert require_disk_space(room(181 * GB, spare=50 * GB)) == ""


def test_a_model_of_unknown_size_is_said_to_be_and_not_refused():
    unknown = room(10 * GB, least=0, known=False)
    assert require_disk_space(unknown) == ""
    assert "weights, whose size is not known" in str(unknown)


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 kB"), (1234, "1.23 kB"), (3.3e6, "3.3 MB"), (38e9, "38 GB"), (1.5e12, "1.5 TB")],
)
def test_bytes_in_words(size, words):
    assert in_words(int(size)) == words


@pytest.fixture
def spec(tmp_path, monkeypatch):
    monkeypatch.setattr("alspec.run.executors.local.LocalExecutor", FakeTrainer)
    monkeypatch.setattr("alspec.report.album.Album.draw", drawn)
    monkeypatch.setattr("os.fsync", lambda _: None)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(TOY))
    return path


def free_bytes(monkeypatch, free):
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(10**13, 0, free))


def test_the_command_says_need_free_path_and_what_to_do(cli, spec, tmp_path, monkeypatch):
    free_bytes(monkeypatch, 10**6)
    code, out, err = cli("run", spec, "--devices", "cpu:1")
    assert (code, out) == (ExitCode.BAD_INPUT, "")
    assert "too small to start" in err
    assert f"1 MB are free in {tmp_path}" in err
    assert not (tmp_path / "work_dirs/tiny").exists()
    need = disk_space_for(tiny_plan(), tiny_plan().steps, Store(tmp_path / "no"), 1).need
    free_bytes(monkeypatch, need.least)
    code, _, err = cli("run", spec, "--devices", "cpu:1")
    assert code == ExitCode.DONE
    assert "The disk may become full" in err
    free_bytes(monkeypatch, 0)
    code, _, err = cli("run", spec, "--devices", "cpu:1")
    assert (code, err) == (ExitCode.DONE, "0 steps to run\n")


def test_the_plan_shows_need_and_free(cli, spec, monkeypatch):
    free_bytes(monkeypatch, 5 * 10**6)
    code, out, _ = cli("plan", spec)
    assert code == 0
    assert "checkpoints and decoded images; 5 MB are free in" in " ".join(out.split())
    assert cli("run", spec, "--set", "keep=none")[0] == ExitCode.BAD_INPUT
    free_bytes(monkeypatch, GB)
    cli("run", spec)
    assert "fullest" not in cli("plan", spec)[1]


def test_checkpoints_that_stand_there_are_not_needed_again(tmp_path):
    plan, store = tiny_plan(), Store(tmp_path / "store")
    before = disk_space_for(plan, plan.steps, store, 1)
    key = plan.runs[0].sets[0].train
    others = plan.steps.keys() - {key}
    without = disk_space_for(plan, others, store, 1).need
    store.checkpoints(key).mkdir(parents=True)
    (store.checkpoints(key) / "a").write_bytes(bytes(10**6))
    after = disk_space_for(plan, plan.steps, store, 1).need
    assert before.need.peak - after.peak == pytest.approx(10**6, abs=8192)
    assert after.least == before.need.least
    assert disk_space_for(plan, others, store, 1).need == without


def test_images_that_are_decoded_there_are_not_needed_again(tmp_path):
    plan, store = tiny_plan(), Store(tmp_path / "store")
    before = disk_space_for(plan, plan.steps, store, 1).need
    (store.images / "toy").mkdir(parents=True)
    for size, less in ((100_000, 100_000), (10**7, cache_bytes(plan))):
        (store.images / "toy/images.bin").write_bytes(bytes(size))
        after = disk_space_for(plan, plan.steps, store, 1).need
        assert before.peak - after.peak == pytest.approx(less, abs=8192)


def test_a_disk_that_is_really_too_small_is_refused(cli, spec, tmp_path):
    with disk_of(tmp_path / "disk", "1m") as disk:
        code, _, err = cli("run", spec, "--work-dir", disk / "work")
        assert code == ExitCode.BAD_INPUT
        assert f"are free in {disk}" in err
        assert list(disk.iterdir()) == []


class RealTrainer(FakeTrainer):
    """Performs steps really, with a checkpoint after every iteration."""

    def __init__(self, root):
        import torch
        from factories import images  # noqa: F401

        from alspec.steps.work import WorkerContext

        super().__init__(Workplace(root, ("cpu",), root / "logs"))
        self.worker_context = WorkerContext(torch.device("cpu"), checkpoint_iterations=1)

    def wait(self, timeout_seconds):
        from alspec.run.executors.worker import work_on

        key, store = self.queue.popleft(), Store(self.root)
        step = Step.from_json(store.read_recipe(key))
        work_on(step, store, self.worker_context, lambda done, total: None)
        return Ended(key, Outcome.DONE)


DEMOS = [
    {"keep": "last", "ssl": [False]},
    {"keep": "none", "ssl": [True], "methods": ["random", "coreset"], "baselines": []},
    {"keep": "all", "ssl": [False, True], "seeds": [0, 1], "methods": ["entropy"]},
]


@pytest.mark.parametrize(
    "changes", [DEMOS[0], *(pytest.param(demo, marks=pytest.mark.slow) for demo in DEMOS[1:])]
)
def test_the_need_is_within_a_fifth_of_what_is_used(tmp_path, monkeypatch, changes):
    training = {**TOY["training"], "epochs": 5}  # enough iterations for three checkpoints
    plan, store = tiny_plan(**changes, training=training), Store(tmp_path / ".store")
    most = 0
    need = disk_space_for(plan, plan.steps, store, 1).need

    def used():
        return sum(path.lstat().st_blocks * 512 for path in tmp_path.rglob("*"))

    def measuring(point, path=""):
        nonlocal most
        most = max(most, used())

    monkeypatch.setattr(failpoints, "at", measuring)
    monkeypatch.setattr(os, "fsync", lambda _: None)
    assert not run(plan, store, RealTrainer(store.root), Heard()).failed
    assert need.peak == pytest.approx(most, rel=0.2)
    assert need.end == pytest.approx(used(), rel=0.2, abs=1_000_000)
    assert need.peak > 6 * WEIGHT_BYTES["deeplabv3plus_tiny"]
    shutil.rmtree(tmp_path)


def test_a_disk_that_takes_no_more_files_is_told_as_such(tmp_path):
    plan = tiny_plan()
    with disk_of(tmp_path / "disk", "64m,nr_inodes=8") as disk:
        with pytest.raises(InputError, match=r"takes only \d more files \(inodes\).*at least \d+"):
            require_disk_space(disk_space_for(plan, plan.steps, Store(disk / ".store"), 1))
        for number in range(files_left(disk)):
            (disk / str(number)).touch()
        with pytest.raises(OSError, match="No space left") as full:
            write_text(disk / "more.txt", "a")
        assert "no inodes left: it takes no more files" in describe_os_error(full.value)
        with pytest.raises(OSError, match="No space left") as full:
            (disk / "folder").mkdir()
        assert "no inodes left" in describe_os_error(full.value)


def test_a_disk_that_says_nothing_of_files_is_not_refused(tmp_path, monkeypatch):
    room = os.statvfs_result((4096, 4096, GB, GB, GB, 0, 0, 0, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _: room)
    assert files_left(tmp_path) is None
    plan = tiny_plan()
    space = disk_space_for(plan, plan.steps, Store(tmp_path / "no"), 1)
    assert "inodes" not in require_disk_space(space)
