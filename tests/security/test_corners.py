"""Corners: long chains of cycles, output that takes nothing, folders that may not be read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from factories.folder_tree import folder_tree
from factories.toy import TOY
from fakes.trainer import tiny_plan

from alspec.errors import InputError
from alspec.system import failpoints
from alspec.system.failpoints import FAULT


def test_names_that_no_disk_takes_are_told_before_anything_runs(tmp_path):
    long = {
        "datasets": [{**TOY["datasets"][0], "name": "d" * 80}],
        "seeds": [1234567890],
        "budgets": [{**TOY["budgets"][0], "name": "b" * 80}],
        "methods": [{"name": "random", "label": "random"}, {"name": "entropy", "label": "m" * 80}],
    }
    with pytest.raises(InputError, match=r"a name of 2\d\d characters, and disks take 255: ddd"):
        tiny_plan(**long)
    long["methods"][1]["label"] = "m" * 60
    longest = max(len(run.name) for run in tiny_plan(**long).runs)
    (tmp_path / ("x" * longest)).mkdir()


@pytest.mark.parametrize("fault", ["x", "a:b", "a:b:ENOSPC", "a:1:NOSUCH", "a:1:strerror", "::"])
def test_a_fault_that_is_not_understood_is_told(monkeypatch, fault):
    monkeypatch.setenv(FAULT, fault)
    with pytest.raises(InputError, match="Write point:n:cause"):
        failpoints.at("a")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_that_takes_nothing_is_no_traceback(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump(TOY))
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "alspec", "plan", str(path)],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False, cwd=tmp_path,
        )  # fmt: skip
    assert "Traceback" not in ended.stderr
    assert "No space left on device" in ended.stderr
    assert ended.returncode == 2


def test_a_folder_that_may_not_be_read_is_no_traceback(cli, tmp_path, monkeypatch):
    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump({**TOY, "datasets": [folder_tree(tmp_path / "data")]}))

    def refused(*_):
        raise PermissionError(13, "Permission denied", "/data")

    monkeypatch.setattr("alspec.datasets.kinds.folder.Folder.list_split", refused)
    code, _, err = cli("plan", path)
    assert code == 2
    assert "/data: Permission denied. Correct its permissions" in err


def test_the_report_is_not_written_over_a_folder(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump(TOY))
    code, _, err = cli("report", path, "-o", ".")
    assert code == 2
    assert "cannot be written (it is a folder, not a file)" in err


def test_a_path_that_is_no_text_is_told(cli, tmp_path):
    code, _, err = cli("check", os.fsdecode(b"caf\xe9.yaml"))
    assert code == 2
    assert "no such file" in err
