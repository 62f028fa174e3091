"""Files are written where they should be: no link below a work directory is followed, no device
replaced, and who else may write there is told."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import numpy as np
import pytest
from fakes.trainer import run_study, tiny_plan

from alspec.errors import InputError
from alspec.models.input.image_cache import ImageCache
from alspec.run.executors.local import LocalExecutor
from alspec.store.links import refuse_links
from alspec.store.permissions import check_owners
from alspec.store.store import Store
from alspec.store.study_folder import StudyFolder
from alspec.system.atomic import append_text, write_out, write_text

as_root = pytest.mark.skipif(
    getattr(os, "geteuid", lambda: 1)() != 0, reason="only root makes devices and gives files away"
)
LINKS = (
    ".store", ".store/images", ".store/images/toy-1/images.rows", ".store/leases/x.1",
    ".store/recipes/x.json", ".store/checkpoints/x/0.safetensors",
    ".store/published/s.json", "s", "s/events.jsonl", "s/logs", "s/logs/worker-0.txt",
    "s/selections/run", "s/figures/a.png", "s/spec.yaml", "s/report.md",
)  # fmt: skip


@pytest.fixture
def outside(tmp_path):
    path = tmp_path / "outside"
    path.mkdir()
    (path / "file").write_text("mine")
    return path


@pytest.mark.parametrize("place", LINKS)
def test_a_link_below_a_work_directory_is_refused(tmp_path, outside, place):
    """A link at `images.rows` overwrote a file outside; at `events.jsonl` lines were appended."""
    work_dir = tmp_path / "work"
    path = work_dir / place
    path.parent.mkdir(parents=True)
    path.symlink_to(outside / "file" if "." in path.name[1:] else outside)
    folder = StudyFolder(work_dir, "s")
    with pytest.raises(InputError, match=f"{place}: is a link"):
        refuse_links(folder.store.root, folder.root)


def test_folders_without_links_and_folders_that_are_not_there_are_fine(tmp_path, outside):
    work_dir = tmp_path / "work"
    work_dir.symlink_to(outside)  # the work directory itself may lie anywhere
    folder = StudyFolder(work_dir, "s")
    refuse_links(folder.store.root, folder.root)
    folder.log_event({"event": "x"})
    (folder.store.root / "images").mkdir(parents=True)
    refuse_links(folder.store.root, folder.root)


def test_a_run_refuses_a_link_before_it_writes(tmp_path, outside):
    plan = tiny_plan()
    link = StudyFolder(tmp_path / "w", plan.study.study).events
    link.parent.mkdir(parents=True)
    link.symlink_to(outside / "file")
    with pytest.raises(InputError, match="is a link"):
        run_study(tmp_path / "w", plan)
    assert (outside / "file").read_text() == "mine"


def test_events_and_logs_are_not_appended_to_through_a_link(tmp_path, outside, monkeypatch):
    folder = StudyFolder(tmp_path / "w", "s")
    folder.logs.mkdir(parents=True)
    folder.events.symlink_to(outside / "file")
    (folder.logs / "worker-0.txt").symlink_to(outside / "file")
    with pytest.raises(OSError, match=r"events.jsonl"):
        folder.log_event({"event": "x"})
    executor = LocalExecutor(place_of(folder))
    with pytest.raises(OSError, match=r"worker-0.txt"):
        executor.warm_up()
    executor.close()
    assert (outside / "file").read_text() == "mine"


def place_of(folder):
    from alspec.run.executors.base import Workplace

    return Workplace(folder.store.root, ["cpu"], folder.logs, 0)


@pytest.mark.parametrize("at", ["folder", "images.rows", "masks.marks", "parent"])
def test_decoded_images_are_not_written_through_a_link(tmp_path, outside, at):
    folder = tmp_path / "images" / "toy"
    (folder if at.endswith("s") else folder.parent if at == "folder" else tmp_path).mkdir(
        parents=True, exist_ok=True
    )
    if at == "parent":
        (tmp_path / "images").symlink_to(outside)
    elif at == "folder":
        folder.symlink_to(outside)
    else:
        (folder / at).symlink_to(outside / "file")
    with pytest.raises(OSError, match=r"link|symbolic"):
        ImageCache(folder, ["a"], (4, 4)).put("image", "a", np.zeros((3, 4, 4), np.uint8))
    assert (outside / "file").read_text() == "mine"
    assert len(list(outside.iterdir())) == 1


@as_root
def test_a_device_is_written_to_and_not_replaced(tmp_path):
    """As root `report -o /dev/null` made a file of the device."""
    device = tmp_path / "null"
    os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    write_out(device, "report")
    assert stat.S_ISCHR(device.stat().st_mode)
    with pytest.raises(OSError, match="a device or a pipe"):
        write_text(device, "report")
    with pytest.raises(OSError, match="a device or a pipe"):
        append_text(device, "report")
    assert stat.S_ISCHR(device.stat().st_mode)


def test_a_pipe_is_written_to_if_somebody_reads(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="No such device"):
        write_out(pipe, "report")
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_out(pipe, "report")
    assert os.read(reader, 100) == b"report"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_folder_is_not_written_over_and_a_link_is_followed_where_the_user_says(tmp_path):
    with pytest.raises(IsADirectoryError):
        write_out(tmp_path, "report")
    (tmp_path / "link.md").symlink_to(tmp_path / "report.md")
    write_out(tmp_path / "link.md", "report")
    assert (tmp_path / "report.md").read_text() == "report"
    assert (tmp_path / "link.md").is_symlink()
    write_out(Path("/dev/null"), "report")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


@as_root
def test_steps_images_and_the_study_folder_of_somebody_else_are_told(tmp_path, monkeypatch):
    """They were left out: a poisoned cache of decoded images made 26 mIoU 100."""
    folder = StudyFolder(tmp_path, "s")
    store = Store(tmp_path / ".store")
    for path in (store.home("a" * 64), store.home("b" * 64), store.images / "toy", folder.root):
        path.mkdir(parents=True)
    tmp_path.chmod(0o755)
    assert list(check_owners(store.root, folder.root)) == []
    for path in (store.home("a" * 64), store.home("b" * 64), folder.root):
        os.chown(path, 4322, 4322)
    said = [line.removeprefix(f"{tmp_path}/") for line in check_owners(store.root, folder.root)]
    assert (
        sorted(line.partition(": ")[2] for line in said)
        == ["belongs to user 4322, who decides what is in it"] * 2
    )
    assert any(line.startswith("s: ") for line in said)
    assert any(" and 1 more: " in line for line in said)
    (store.images / "toy").chmod(0o777)
    assert any("chmod -R o-w" in line and "/images/toy" in line
               for line in check_owners(store.root, folder.root))  # fmt: skip
    os.chown(store.images / "toy", 4322, 4322)
    with pytest.raises(InputError, match="everybody can write there"):
        list(check_owners(store.root, folder.root))


@as_root
def test_a_group_s_store_says_nothing_of_its_members_steps(tmp_path):
    store = Store(tmp_path / ".store")
    store.home("a" * 64).mkdir(parents=True)
    os.chown(store.root, 0, 7777)
    store.root.chmod(0o2775)
    os.chown(store.home("a" * 64), 4322, 7777)
    assert list(check_owners(store.root)) == []
