"""The command `compare` on made-up studies."""

from __future__ import annotations

import json
from unittest import mock

import pytest
from fakes.trainer import run_study, tiny_plan

from alspec.errors import ExitCode


@pytest.fixture(scope="module")
def work_dir(tmp_path_factory):
    work_dir = tmp_path_factory.mktemp("work")
    with mock.patch("os.fsync"):
        run_study(work_dir, tiny_plan())
        run_study(work_dir, tiny_plan(study="other", methods=["random", "coreset"]))
        run_study(work_dir, tiny_plan(study="apart", seeds=[5]))
    return work_dir


def test_what_both_have_is_compared_by_its_labels(work_dir, cli):
    code, out, _ = cli("compare", work_dir / "tiny", work_dir / "other", "--json")
    assert code == 0
    rows = json.loads(out)["rows"]
    assert {row["method"] for row in rows} == {"random", "full"}
    assert all(row["difference"] == 0 and row["sd"] is None for row in rows)
    code, out, _ = cli("compare", work_dir / "tiny", work_dir / "other")
    assert code == 0
    assert "+0.00" in out


def test_studies_without_anything_in_common_are_an_error(work_dir, cli):
    code, _, err = cli("compare", work_dir / "tiny", work_dir / "apart")
    assert code == ExitCode.BAD_INPUT
    assert "in common" in err
