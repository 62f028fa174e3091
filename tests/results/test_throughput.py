"""Paces read from finished steps, and what is saved_throughput of them."""

from __future__ import annotations

import json

import pytest
from fakes.trainer import run_study, tiny_plan

from alspec.plan.cost.time import Pace
from alspec.plan.cost.workload import workloads
from alspec.results.throughput import measured, record_throughput, saved_throughput
from alspec.store.store import Store
from alspec.store.study_folder import StudyFolder


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The fake trainer says 2 s for each training, 1 s for each acquisition."""
    work_dir, plan = tmp_path_factory.mktemp("finished"), tiny_plan(keep="all")
    run_study(work_dir, plan)
    return plan, StudyFolder(work_dir, plan.study.study).store


def paces_of(plan, store, device="cpu", keys=None):
    return measured(plan, workloads(plan), store, plan.steps if keys is None else keys, device)


def test_a_pace_is_the_median_of_seconds_an_image(finished):
    plan, _ = finished
    loads, paces = workloads(plan), paces_of(*finished)
    random = next(run for run in plan.runs if run.method == "random" and not run.ssl)
    images = [loads[s.train].images for s in random.sets]
    assert images == [4, 8]
    alike = [
        key
        for key, load in loads.items()
        if load.timing_key == loads[random.sets[0].train].timing_key
    ]
    pace = paces[loads[random.sets[0].train].timing_key]
    each = sorted(2.0 / loads[key].images for key in alike)
    assert pace.steps == len(alike) == 4  # cycle 0, cycle 1 of two methods, and full
    assert pace.seconds_per_image == pytest.approx((each[1] + each[2]) / 2)
    entropy = next(run for run in plan.runs if run.method == "entropy").sets[1]
    assert paces[loads[entropy.acquire].timing_key].seconds_per_image == pytest.approx(1 / 20)


def test_another_kind_of_device_tells_nothing(finished):
    assert paces_of(*finished, device="cuda") == {}


def test_files_that_cannot_be_read_tell_nothing_and_are_left(finished, tmp_path):
    plan, _ = finished
    run_study(tmp_path, plan)
    store = StudyFolder(tmp_path, plan.study.study).store
    for step in plan.in_order():
        for path in store.home(step.key).glob("train.json"):
            path.write_text(json.dumps({"device": "cpu"}) if step.inputs else "{")
    assert not any(
        load.trains for load in workloads(plan).values() if load.timing_key in paces_of(plan, store)
    )
    assert all(store.is_done(key) for key in plan.steps)


def test_what_was_found_is_remembered_by_device(tmp_path):
    store = Store(tmp_path)
    assert saved_throughput(store, "cpu") == {}
    record_throughput({"a": Pace(1.5, 3)}, store, "cpu")
    assert saved_throughput(store, "cpu") == {"a": Pace(1.5, 3)}
    assert saved_throughput(store, "cuda") == {}
    for path in (tmp_path / "throughput").iterdir():
        path.write_text('{"device": "cpu", "like": "a"}')
    assert saved_throughput(store, "cpu") == {}


def test_a_calibration_never_replaces_what_real_steps_told(tmp_path):
    store = Store(tmp_path)
    record_throughput({"a": Pace(1.0, 1), "b": Pace(2.0, 1)}, store, "cpu", calibrated=True)
    assert all(pace.calibrated for pace in saved_throughput(store, "cpu").values())
    record_throughput({"a": Pace(3.0, 7)}, store, "cpu")
    record_throughput({"a": Pace(9.0, 1), "b": Pace(4.0, 1)}, store, "cpu", calibrated=True)
    found = saved_throughput(store, "cpu")
    assert found["a"] == Pace(3.0, 7)
    assert (found["b"].seconds_per_image, bool(found["b"].calibrated)) == (4.0, True)
