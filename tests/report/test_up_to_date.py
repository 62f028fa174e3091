"""What a study has published stands until its store, its files or what writes them change."""

from __future__ import annotations

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

import pytest
from fakes.trainer import drawn, results_of, run_study, tiny_plan

from alspec.report import publish
from alspec.report import up_to_date as unchanged
from alspec.store import turns
from alspec.store.study_folder import StudyFolder


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    work_dir, plan = tmp_path_factory.mktemp("whole"), tiny_plan()
    run_study(work_dir, plan)
    return work_dir, plan


@pytest.fixture
def copied(whole, tmp_path):
    work_dir, plan = whole
    shutil.copytree(work_dir, tmp_path, dirs_exist_ok=True)
    publish_anew(tmp_path, plan)  # the report names its folder
    return tmp_path, plan, results_of(tmp_path, plan)


def publish_anew(work_dir, plan):
    """Whether a run that finds nothing to do writes its report again."""
    with (
        mock.patch.object(publish, "publish", wraps=publish.publish) as written,
        mock.patch("alspec.report.album.Album.draw", drawn),
    ):
        publish.publish_what_changed(plan, StudyFolder(work_dir, plan.study.study))
    return written.called


def test_nothing_changed_writes_nothing(copied):
    work_dir, plan, results = copied
    before = {path: path.stat().st_mtime_ns for path in work_dir.rglob("*.*") if path.is_file()}
    assert not publish_anew(work_dir, plan)
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert results_of(work_dir, plan) == results


def test_runs_that_end_at_once_publish_once(copied, monkeypatch):
    """As the last pilots of a study do."""
    work_dir, plan, results = copied
    folder, runs, looked = StudyFolder(work_dir, plan.study.study), 4, threading.local()
    together = threading.Barrier(runs)
    is_up_to_date = publish.is_up_to_date

    def seen_by_all(*asked):
        found = is_up_to_date(*asked)
        if not hasattr(looked, "once"):
            looked.once = True
            together.wait()
        return found

    folder.report.unlink()
    monkeypatch.setattr(publish, "is_up_to_date", seen_by_all)
    monkeypatch.setattr(turns, "LOOK_SECONDS", 0.01)
    with (
        mock.patch.object(publish, "publish", wraps=publish.publish) as written,
        mock.patch("alspec.report.album.Album.draw", drawn),
        ThreadPoolExecutor(runs) as pool,
    ):
        paths = pool.map(lambda _: publish.publish_what_changed(plan, folder), range(runs))
        assert list(paths) == [folder.report] * runs
    assert written.call_count == 1
    assert results_of(work_dir, plan) == results


@pytest.mark.parametrize(
    "name",
    ["report.md", "report.html", "results.csv", "classes.csv", "runs.csv", "figures/*.svg",
     "figures/*.png", "selections/*/cycle_1.txt", "selections/*/picks_1.csv", "training.csv"],
)  # fmt: skip
@pytest.mark.parametrize("harm", ["gone", "changed"])
def test_a_file_that_was_harmed_comes_back(copied, name, harm):
    work_dir, plan, results = copied
    path = next(StudyFolder(work_dir, plan.study.study).root.glob(name))
    if harm == "changed":
        path.write_text("mine")
    else:
        path.unlink()
    assert publish_anew(work_dir, plan)
    assert results_of(work_dir, plan) == results
    assert not publish_anew(work_dir, plan)


def test_another_plan_or_another_place_is_published(copied):
    work_dir, _, _ = copied
    assert publish_anew(work_dir, tiny_plan(evaluation={"miou_at": [40]}))
    moved = work_dir.with_name("moved")
    work_dir.rename(moved)
    assert publish_anew(moved, tiny_plan(evaluation={"miou_at": [40]}))


def test_a_step_that_is_gone_or_new_is_published(copied):
    work_dir, plan, results = copied
    store = StudyFolder(work_dir, plan.study.study).store
    key = plan.runs[0].sets[-1].evaluate
    store.home(key).rename(work_dir / "kept")
    assert publish_anew(work_dir, plan)
    assert results_of(work_dir, plan) != results
    (work_dir / "kept").rename(store.home(key))
    assert publish_anew(work_dir, plan)
    again = results_of(work_dir, plan)
    moved = {path for path in again if path.startswith("selections_before/")}
    assert len(moved) == 2, "the selection that was none of the study's for a while"
    assert {path: again[path] for path in again.keys() - moved} == results


def test_other_code_publishes_again(copied, monkeypatch):
    work_dir, plan, _ = copied
    monkeypatch.setattr(unchanged, "_code", lambda: iter(()))
    monkeypatch.setattr(unchanged, "_renderer", unchanged._renderer.__wrapped__)
    assert publish_anew(work_dir, plan)


@pytest.mark.parametrize("record", ["", "[]", "{", '{"origin": "x"}'])
def test_a_broken_record_is_no_error(copied, record):
    work_dir, plan, _ = copied
    (work_dir / ".store/published" / f"{plan.study.study}.json").write_text(record)
    assert publish_anew(work_dir, plan)
    assert not publish_anew(work_dir, plan)
