"""Runs killed at every named point: a plain re-run ends in the bytes of a run never killed."""

from __future__ import annotations

import json
import random

import pytest
from fakes.trainer import KILLED, results_of, run_study, tiny_plan

from alspec.store.manifest import MANIFEST
from alspec.store.study_folder import StudyFolder
from alspec.system.processes import is_abandoned

MOST_A_POINT = 30


@pytest.fixture(scope="module")
def whole(server, tmp_path_factory):
    """The plan, what a run publishes that nobody kills, and how often it passes each point."""
    work_dir, plan = tmp_path_factory.mktemp("whole"), tiny_plan()
    counts = work_dir.with_suffix(".json")
    assert server.run(work_dir, counts=str(counts)) == [0]
    return plan, results_of(work_dir, plan), json.loads(counts.read_text())


def kills(counts):
    """Point and number, spread evenly over each point's passes from the first to the last."""
    for point, passes in sorted(counts.items()):
        wanted = min(passes, MOST_A_POINT)
        for n in sorted({1 + round(k * (passes - 1) / max(wanted - 1, 1)) for k in range(wanted)}):
            yield point, n


def committed(store):
    """The keys of the steps that are done."""
    homes = (manifest.parent for manifest in store.root.glob(f"*/{MANIFEST}"))
    return {home.name for home in homes if len(home.name) == 64}


def leftovers(root):
    return [path for path in root.rglob("*") if is_abandoned(path.name)]


def check(server, whole, tmp_path, point, n):
    plan, results, _ = whole
    work_dir = tmp_path / f"{point}-{n}"
    store = StudyFolder(work_dir, plan.study.study).store
    case = f"killed at {point}, pass {n}"
    assert server.run(work_dir, fault=f"{point}:{n}:kill") == [KILLED], case
    finished = committed(store)
    summary, told = run_study(work_dir, plan)
    assert not summary.failed, case
    assert not told, case  # nothing half-written was taken for done
    assert results_of(work_dir, plan) == results, case
    lost = finished & set(summary.executed)
    assert not lost, case
    assert len(summary.executed) == len(plan.steps) - len(finished), case
    assert leftovers(work_dir) == [], case
    assert list((store.root / "leases").iterdir()) == [], case
    assert list((store.root / "recipes").iterdir()) == [], case


def test_every_part_of_a_run_has_points(whole):
    _, _, counts = whole
    parts = {point.partition(".")[0] for point in counts}
    assert parts >= {"commit", "drop", "recipe", "lease", "file", "sync", "events", "step"}
    assert len(list(kills(counts))) >= 200


def test_killed_at_a_dozen_points(server, whole, tmp_path):
    _, _, counts = whole
    rng = random.Random(0)
    for point in rng.sample(sorted(counts), 12):
        check(server, whole, tmp_path, point, 1 + rng.randrange(counts[point]))


@pytest.mark.slow
def test_killed_at_every_point(server, whole, tmp_path):
    _, _, counts = whole
    for point, n in kills(counts):
        check(server, whole, tmp_path, point, n)


def test_killed_again_while_it_recovers(server, whole, tmp_path):
    plan, results, counts = whole
    rng = random.Random(1)
    for number in range(3):
        work_dir = tmp_path / f"{number}"
        for point in ("file.rename", "commit.rename", "lease.linked"):
            n = 1 + rng.randrange(counts[point] // 5)
            assert server.run(work_dir, fault=f"{point}:{n}:kill") == [KILLED]
        assert not run_study(work_dir, plan)[0].failed
        assert results_of(work_dir, plan) == results
