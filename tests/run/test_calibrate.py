"""The sample of a study that a calibration times."""

from __future__ import annotations

import pytest

from alspec.plan.cost.workload import workloads
from alspec.plan.expand import expand
from alspec.plan.kinds import ACQUIRE, EVALUATE, POOL, TRAIN
from alspec.run.calibrate import ITERATIONS, SCORED, sample_plan

METHODS = ["random", "entropy", {"name": "bald", "passes": 3}]


@pytest.fixture
def plans(toy_study, tmp_path):
    """A study and its sample."""

    def of(**changes):
        plan = expand(toy_study(**changes))
        return plan, sample_plan(plan.study, tmp_path)

    return of


def likes(plan, kind):
    loads = workloads(plan)
    return {loads[step.key].timing_key for step in plan.in_order() if step.kind is kind}


@pytest.mark.parametrize("ssl", [[False], [False, True]])
def test_every_like_of_the_study_but_evaluations_is_in_the_sample(plans, ssl):
    plan, sample = plans(methods=METHODS, ssl=ssl, seeds=[3, 4])
    for kind in (TRAIN, ACQUIRE):
        assert likes(plan, kind) <= likes(sample, kind)
    assert not likes(sample, EVALUATE)


def test_a_sample_is_small_however_large_the_study(plans, toy_spec):
    large = {**toy_spec["datasets"][0], "sequences": 50, "frames": 900}
    training = {"epochs": 100, "batch_size": 4, "lr": 0.01}
    _, sample = plans(datasets=[large], training=training, budgets=["10-10"], seeds=[*range(9)])
    loads = workloads(sample)
    trained = [load.images for load in loads.values() if load.trains]
    assert trained == [ITERATIONS * 4] * 4  # an arm and seed each
    assert max(load.images for load in loads.values()) <= 2 * 4 + SCORED
    assert len(sample.steps) < 20


def test_a_study_that_scores_nothing_still_learns_how_long_scoring_takes(plans):
    _, sample = plans(methods=["random"], ssl=[False])
    assert any(step.params.get("method") == "entropy" for step in sample.in_order())


def test_datasets_of_one_kind_and_size_are_timed_once(plans, toy_spec):
    toy = toy_spec["datasets"][0]
    twins = [toy, {**toy, "name": "twin"}, {**toy, "name": "larger", "image_size": [64, 64]}]
    _, sample = plans(datasets=twins)
    pools = [step.label for step in sample.in_order() if step.kind is POOL]
    assert sorted(pools) == ["larger pool", "toy pool"]
