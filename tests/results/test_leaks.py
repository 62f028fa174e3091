"""Validation images that the pool has too: written by a run, shown by its report."""

from __future__ import annotations

import numpy as np
import pytest
from factories.study import MadeStudy

from alspec.datasets.leakage import Leakage
from alspec.report.publish import publish, publish_what_changed
from alspec.results.leaks import SplitLeak, read_leaks, write_leaks
from alspec.store.study_folder import StudyFolder


def test_numbers_come_back_and_go_away(tmp_path):
    folder = StudyFolder(tmp_path, "s")
    leaks = {"a": SplitLeak.of(Leakage(12, (), (), 0, np.nan)), "b": SplitLeak(40, 3, 0.25)}
    write_leaks(folder, leaks)
    assert read_leaks(folder) == leaks
    assert leaks["a"].near is None
    write_leaks(folder, {})
    assert read_leaks(folder) == {}
    assert not folder.data.exists()


@pytest.mark.parametrize("broken", ["", "[]", "{", '{"a": 1}', '{"a": {"b": 1}}'])
def test_a_broken_file_says_nothing(tmp_path, broken):
    folder = StudyFolder(tmp_path, "s")
    folder.root.mkdir()
    folder.data.write_text(broken)
    assert read_leaks(folder) == {}


def test_the_report_tells_the_share_and_follows_the_file(tmp_path):
    made = MadeStudy(methods=("random",), ssl=(False,), seeds=(0,), full=False)
    folder = made.in_folder(tmp_path)
    assert "near-copy in the pool" not in publish(made.plan, folder).read_text("utf-8")
    write_leaks(folder, {"camvid": SplitLeak(101, 2, 0.124)})
    said = publish_what_changed(made.plan, folder).read_text("utf-8")
    assert "**12 % of camvid's 101 validation images** have a near-copy in the pool" in said
    assert "**2 of camvid's 101 validation images** are byte for byte the same" in said
    write_leaks(folder, {"camvid": SplitLeak(101, 0, 0.02)})
    said = publish_what_changed(made.plan, folder).read_text("utf-8")
    assert "- 2 % of camvid's 101 validation images have a near-copy" in said
    write_leaks(folder, {"camvid": SplitLeak(101, 0, 0.0)})
    assert "near-copy in the pool" not in publish_what_changed(made.plan, folder).read_text("utf-8")
