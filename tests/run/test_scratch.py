"""Temporary folders: private, and removed also where their process was killed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from alspec.system import scratch
from alspec.system.processes import here
from alspec.system.scratch import new_scratch, scratch_folder


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(scratch.tempfile, "gettempdir", lambda: str(tmp_path))
    return tmp_path


def test_a_folder_is_private_and_goes_with_its_block(temporary):
    with scratch_folder() as folder:
        assert folder.parent == temporary
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "file").write_text("x")
    assert list(temporary.iterdir()) == []


def test_what_killed_processes_left_is_removed_and_nothing_else(temporary):
    gone = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"],
        capture_output=True, check=True, text=True,
    ).stdout.strip()  # fmt: skip
    left = temporary / f"alspec-{here()}-{gone}-01234567"
    left.mkdir()
    (left / "file").write_text("x")
    others = [temporary / name for name in (f"alspec-00000000-{gone}-01234567", "alspec-home-0")]
    for each in others:
        each.mkdir()
    mine = new_scratch()
    with scratch_folder():
        assert not left.exists()
    assert {*temporary.iterdir()} == {mine, *others}
