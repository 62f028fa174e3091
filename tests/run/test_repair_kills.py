"""Runs killed while they make damaged steps again: verify, set aside, remake, publish."""

from __future__ import annotations

import json
import random
import shutil

import pytest
from fakes.trainer import KILLED, results_of, run_study, tiny_plan

from alspec.plan.kinds import KINDS
from alspec.store.manifest import MANIFEST
from alspec.store.study_folder import StudyFolder
from alspec.system.processes import is_abandoned

DAMAGED = {"pool": "pool.csv", "acquire": "labelled.txt", "train": "epochs.csv",
           "evaluate": "confusion.npy"}  # fmt: skip
"""A step of each kind, and which of its files is damaged."""

OWN = {
    "repair.verify", "repair.found", "quarantine.rename", "quarantine.renamed", "commit.rename",
    "commit.manifest", "recipe.write", "step.submit", "step.ended", "publish.tables",
    "publish.figures", "publish.report", "file.rename", "file.renamed",
}  # fmt: skip
MOST_A_POINT = 12


@pytest.fixture(scope="module")
def damaged(server, tmp_path_factory):
    """A study with four damaged steps, its results before, and the points of its repair."""
    work_dir, plan = tmp_path_factory.mktemp("whole"), tiny_plan(keep="all")
    assert server.run(work_dir, studies={"kept": 1}) == [0]
    results = results_of(work_dir, plan)
    store = StudyFolder(work_dir, plan.study.study).store
    keys = set()
    for kind, name in DAMAGED.items():
        key = next(key for key, step in plan.steps.items() if step.kind is KINDS[kind])
        path = store.home(key) / name
        path.write_bytes(bytes(path.stat().st_size))
        keys.add(key)
    copy = shutil.copytree(work_dir, work_dir.with_name("counted"))
    counts = work_dir.with_suffix(".json")
    assert server.run(copy, counts=str(counts), studies={"kept": 1}) == [0]
    return work_dir, plan, results, keys, json.loads(counts.read_text())


def kills(counts):
    for point, passes in sorted(counts.items()):
        wanted = min(passes, MOST_A_POINT)
        for n in sorted({1 + round(k * (passes - 1) / max(wanted - 1, 1)) for k in range(wanted)}):
            yield point, n


def sound(store, keys):
    """The keys of the finished steps that are not damaged."""
    done = {manifest.parent.name for manifest in store.root.glob(f"*/{MANIFEST}")}
    return {key for key in done if len(key) == 64 and key not in keys}


def check(server, damaged, tmp_path, point, n):
    work_dir, plan, results, keys, _ = damaged
    case = f"killed at {point}, pass {n}"
    copy = shutil.copytree(work_dir, tmp_path / f"{point}-{n}")
    store = StudyFolder(copy, plan.study.study).store
    assert server.run(copy, fault=f"{point}:{n}:kill", studies={"kept": 1}) == [KILLED], case
    whole = sound(store, keys)
    summary, _ = run_study(copy, plan)
    assert not summary.failed, case
    assert set(summary.executed) <= keys, f"{case}: a sound step was done again"
    assert not whole & set(summary.executed), case
    assert results_of(copy, plan) == results, case
    for key in plan.steps:
        store.verify(key)
    assert len(list((store.root / "quarantine").iterdir())) == len(keys), case
    assert [path for path in copy.rglob("*") if is_abandoned(path.name)] == [], case
    shutil.rmtree(copy)


def test_a_repair_passes_its_points(damaged):
    *_, counts = damaged
    assert set(counts) >= OWN
    assert counts["repair.found"] == counts["quarantine.renamed"] == len(DAMAGED)


def test_killed_once_at_each_point(server, damaged, tmp_path):
    *_, counts = damaged
    rng = random.Random(0)
    for point in sorted(OWN):
        check(server, damaged, tmp_path, point, 1 + rng.randrange(counts[point]))


@pytest.mark.slow
def test_killed_at_every_point_of_a_repair(server, damaged, tmp_path):
    *_, counts = damaged
    cases = list(kills(counts))
    assert len(cases) >= 150
    for point, n in cases:
        check(server, damaged, tmp_path, point, n)


def test_killed_again_and_again_while_it_repairs(server, damaged, tmp_path):
    work_dir, plan, results, keys, _ = damaged
    copy = shutil.copytree(work_dir, tmp_path / "copy")
    faults = ("repair.verify:3", "quarantine.renamed:1", "commit.renamed:1", "publish.figures:1")
    for fault in faults:
        assert server.run(copy, fault=f"{fault}:kill", studies={"kept": 1}) == [KILLED], fault
    summary, _ = run_study(copy, plan)
    assert not summary.failed
    assert set(summary.executed) <= keys
    assert results_of(copy, plan) == results
