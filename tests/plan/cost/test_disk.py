"""The disk that a plan needs, against sums by hand and bytes that real models have."""

from __future__ import annotations

import pytest
import torch
from factories.toy import TOY
from hypothesis import given, settings
from hypothesis import strategies as st

from alspec.plan.cost.disk import (
    CHECKPOINTS,
    DISCRIMINATOR_BYTES,
    STEP_BYTES,
    WEIGHT_BYTES,
    DiskNeed,
    cache_bytes,
    checkpoint_bytes,
    disk_bytes,
    disk_need,
    weight_bytes,
)
from alspec.plan.cost.priority import ranks
from alspec.plan.expand import expand
from alspec.plan.kinds import EVALUATE, TRAIN
from alspec.spec.model import Study

W = WEIGHT_BYTES["deeplabv3plus_tiny"]


def plan_of(**changes):
    return expand(Study.model_validate({**TOY, **changes}))


def trainings(plan):
    return [step for step in plan.in_order() if step.kind is TRAIN]


def near(bytes_):
    """Within what is small beside weights of 3.3 MB: lists of images, a few steps' own files."""
    return pytest.approx(bytes_, abs=500_000)


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.slow] * ("wrn38" in n)) for n in WEIGHT_BYTES],
)
def test_models_are_as_large_as_said(name):
    from alspec.models.nets.build import build_segmentor
    from alspec.models.nets.config import model_config

    model = build_segmentor(model_config(name, 19), mc_dropout=False)
    assert (
        sum(t.numel() * t.element_size() for t in model.state_dict().values())
        == (WEIGHT_BYTES[name])
    )


def test_the_discriminator_is_as_large_as_said():
    from alspec.models.training.s4gan import Discriminator

    with torch.device("meta"):
        state = Discriminator(19).state_dict()
    assert sum(t.numel() * 4 for t in state.values()) == DISCRIMINATOR_BYTES


@pytest.mark.parametrize("keep", ["none", "last", "all"])
def test_a_finished_study_has_the_weights_it_keeps(keep):
    plan = plan_of(keep=keep)
    count = {"none": 0, "last": len({r.sets[-1].train for r in plan.runs}), "all": 7}[keep]
    assert disk_bytes(plan) == near(count * W + STEP_BYTES * len(plan.steps) + cache_bytes(plan))


def test_a_run_is_fullest_when_its_trainings_are():
    plan = plan_of(methods=["random"], ssl=[False], baselines=[], keep="none")
    need = disk_need(plan, plan.steps.keys(), (), 1)
    assert need.known
    # One chain: a training's checkpoints, and no weights left of the one before.
    rest = STEP_BYTES * len(plan.steps) + cache_bytes(plan)
    assert need.peak == near(CHECKPOINTS * 2 * W + rest)
    assert need.least == near(W + rest)
    assert need.end == near(rest)
    two = plan_of(methods=["random"], ssl=[False], baselines=[], keep="none", seeds=[0, 1])
    assert disk_need(two, two.steps.keys(), (), 2).peak == near(2 * CHECKPOINTS * 2 * W + rest)
    kept = plan_of(methods=["random"], ssl=[False], baselines=[], keep="all")
    assert disk_need(kept, kept.steps.keys(), (), 1).peak == near((1 + CHECKPOINTS * 2) * W + rest)


def test_checkpoints_hold_what_optimizers_remember():
    plain, adversarial = (trainings(plan_of(ssl=[ssl]))[0] for ssl in (False, True))
    assert checkpoint_bytes(plain, 100) == 200
    assert checkpoint_bytes(adversarial, 100) == 200 + 3 * DISCRIMINATOR_BYTES
    still = {**TOY["training"], "momentum": 0}
    assert checkpoint_bytes(trainings(plan_of(ssl=[False], training=still))[0], 100) == 100


def test_what_is_done_needs_nothing_and_what_is_dropped_gives_room():
    plan = plan_of(methods=["random"], ssl=[False], baselines=[], keep="none")
    for held in (set(), {trainings(plan)[0].key}):
        assert disk_need(plan, (), held, 1) == DiskNeed(0, 0, 0, known=True)
    last = plan.runs[0].sets[-1]
    need = disk_need(plan, {last.evaluate}, {last.train}, 1)
    assert need.end == near(-W + cache_bytes(plan))


def test_evaluations_free_the_weights_of_finished_cycles():
    """Were they left to the end, the weights of all trainings would stand there together."""
    seeds = list(range(10))
    plan = plan_of(methods=["random"], ssl=[False], baselines=[], keep="none", seeds=seeds)
    need = disk_need(plan, plan.steps.keys(), (), 1)
    assert need.peak < (CHECKPOINTS * 2 + 2) * W + STEP_BYTES * len(plan.steps) + 1_000_000
    rank = ranks(plan)
    evaluations = [s.key for s in plan.in_order() if s.kind is EVALUATE]
    assert sorted(rank[key] for key in evaluations) == list(range(len(evaluations)))


def test_each_pool_and_validation_split_is_cached_once():
    (toy,) = TOY["datasets"]
    every = {**toy, "name": "every", "redundancy": {"kind": "every", "n": 2}}
    again = {**toy, "name": "again"}
    one = 32 * 64 * 4
    assert cache_bytes(plan_of()) == (20 + 5) * one
    assert cache_bytes(plan_of(datasets=[toy, again])) == (20 + 5) * one
    assert cache_bytes(plan_of(datasets=[toy, every])) == (20 + 10 + 5) * one
    measured = plan_of(evaluation={"image_size": [64, 128]})
    assert cache_bytes(measured) == (20 + 5 * 4) * one


def config_study(tmp_path, **more):
    config = tmp_path / "model.py"
    config.write_text("model = dict(type='EncoderDecoder', num_classes=19)\n")
    return Study.model_validate({**TOY, "model": {"config": str(config), **more}})


def test_a_config_files_model_is_as_large_as_its_weights(tmp_path):
    weights = tmp_path / "weights.pth"
    weights.write_bytes(bytes(12345))
    study = config_study(tmp_path, checkpoint=str(weights))
    assert weight_bytes(study) == 12345
    study = config_study(tmp_path).model_copy(update={"pretrained": str(weights)})
    assert weight_bytes(study) == 12345
    assert weight_bytes(config_study(tmp_path)) is None
    assert weight_bytes(config_study(tmp_path, checkpoint=str(tmp_path / "gone.pth"))) is None


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["none", "last", "all"]), st.integers(1, 9), st.booleans(), st.integers(1, 3)
)
def test_a_peak_lies_between_the_end_and_everything_at_once(keep, slots, ssl, seeds):
    plan = plan_of(keep=keep, ssl=[ssl], seeds=list(range(seeds)))
    need = disk_need(plan, plan.steps.keys(), (), slots)
    all_weights = len(trainings(plan)) * W
    at_work = min(slots, len(trainings(plan))) * CHECKPOINTS
    at_work *= checkpoint_bytes(trainings(plan)[0], W)
    rest = STEP_BYTES * len(plan.steps) + cache_bytes(plan) + 100_000
    assert need.end <= need.least + cache_bytes(plan) <= need.peak <= all_weights + at_work + rest
    assert need.peak >= CHECKPOINTS * checkpoint_bytes(trainings(plan)[0], W)
