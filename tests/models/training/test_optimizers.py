"""Optimizers of specs and of configs: MMEngine's own, with schedules in shares of a training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories.images import tiny

import torch  # isort: skip
from mmengine.optim import OptimWrapper, build_optim_wrapper  # isort: skip
from mmengine.registry import PARAM_SCHEDULERS  # isort: skip

from alspec.errors import InputError
from alspec.models.nets.own_config import ConfigFile, read_config
from alspec.models.training.optimizers import Recipe, in_words, recipe_of
from alspec.plan.config_file import config_sha256
from alspec.spec.model import Study, Training

CPU = torch.device("cpu")
SEGFORMER = "configs/segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py"


def training_of(config: bool = True, **training: Any) -> Training:
    """The training of a study, with the model of a config file or a built-in one."""
    model = {"config": "own.py"} if config else "deeplabv3plus_tiny"
    study = Study.model_validate(
        {
            "study": "s",
            "datasets": [{"name": "t", "kind": "toy", "image_size": [32, 48]}],
            "budgets": ["10-10"],
            "methods": ["random"],
            "model": model,
            "training": training,
        }
    )
    return study.training


def shipped(name: str) -> ConfigFile:
    return read_config(Path(config_sha256(Path(name))[1]))


def groups(wrapper: OptimWrapper, model: Any) -> dict[str, dict[str, Any]]:
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        names[id(parameter)]: {k: v for k, v in group.items() if k != "params"}
        for group in wrapper.optimizer.param_groups
        for parameter in group["params"]
    }


def rates(recipe: Recipe, iterations: int) -> list[float]:
    """The learning rate of every iteration."""
    parameter = torch.nn.Parameter(torch.zeros(1))
    wrapper = OptimWrapper(torch.optim.SGD([parameter], lr=1.0))
    schedules = recipe.schedules_of(wrapper, iterations)
    seen = []
    for _ in range(iterations):
        seen.append(wrapper.param_groups[0]["lr"])
        wrapper.optimizer.step()
        for schedule in schedules:
            schedule.step()
    return seen


# ---- which optimizer


def test_a_built_in_model_is_trained_by_the_paper_s_sgd() -> None:
    recipe = recipe_of(training_of(config=False, lr=0.5))
    assert recipe.optim_wrapper is None
    assert recipe.training.lr == 0.5
    assert in_words(recipe) == "SGD, lr 0.5 (5 for heads), poly schedule"


def test_a_config_s_own_optimizer_is_the_default_to_the_parameter() -> None:
    own = shipped(SEGFORMER)
    recipe, model = recipe_of(training_of(), own), tiny()
    wrapper = recipe.optimizer(model, CPU, bfloat16=False)
    assert isinstance(wrapper.optimizer, torch.optim.AdamW)
    theirs = build_optim_wrapper(model, own.optim_wrapper)
    assert groups(wrapper, model) == groups(theirs, model)
    assert groups(wrapper, model)["decode_head.conv_seg.weight"]["lr"] == pytest.approx(6e-4)


def test_what_the_spec_says_replaces_the_config_s_value_alone() -> None:
    recipe = recipe_of(training_of(lr=1e-4, weight_decay=0.5), shipped(SEGFORMER))
    assert recipe.optim_wrapper is not None
    optimizer = recipe.optim_wrapper["optimizer"]
    assert optimizer == {
        "type": "AdamW", "lr": 1e-4, "betas": (0.9, 0.999), "weight_decay": 0.5,
    }  # fmt: skip
    assert "head" in recipe.optim_wrapper["paramwise_cfg"]["custom_keys"]
    assert [s["type"] for s in recipe.schedules] == ["LinearLR", "PolyLR"]


def test_a_config_without_an_optimizer_is_trained_by_sgd() -> None:
    recipe = recipe_of(training_of(lr=0.05, head_lr_factor=1), ConfigFile({}))
    assert recipe.optim_wrapper is None
    chosen = recipe.training
    assert (chosen.lr, chosen.head_lr_factor, chosen.momentum) == (0.05, 1, 0.9)


def test_an_optimizer_of_the_spec() -> None:
    training = training_of(
        config=False,
        lr=3e-4,
        optimizer={
            "type": "AdamW", "weight_decay": 0.02, "betas": [0.8, 0.9], "clip_grad": 2,
            "head_lr_factor": 5, "paramwise_cfg": {"norm_decay_mult": 0}, "warmup": 0.25,
        },
    )  # fmt: skip
    recipe, model = recipe_of(training), tiny()
    wrapper = recipe.optimizer(model, CPU, bfloat16=True)
    assert type(wrapper).__name__ == "BFloat16OptimWrapper"
    assert wrapper.clip_grad_kwargs == {"max_norm": 2}
    found = groups(wrapper, model)
    assert found["backbone.conv1.weight"]["lr"] == pytest.approx(3e-4)
    assert found["backbone.conv1.weight"]["betas"] == (0.8, 0.9)
    assert found["backbone.conv1.weight"]["weight_decay"] == 0.02
    assert found["backbone.bn1.weight"]["weight_decay"] == 0
    assert found["decode_head.conv_seg.weight"]["lr"] == pytest.approx(15e-4)


def test_an_optimizer_that_cannot_be_built_is_bad_input() -> None:
    wrong = {"type": "Adagrad", "betas": [0.5, 0.5]}
    recipe = recipe_of(training_of(config=False, optimizer=wrong))
    with pytest.raises(InputError, match=r"training.optimizer: cannot be built \(TypeError"):
        recipe.optimizer(tiny(), CPU, bfloat16=False)


REFUSED = {
    "its `optim_wrapper` is a ApexOptimWrapper": {"optim_wrapper": {"type": "ApexOptimWrapper"}},
    "adds up 2 batches a step": {"optim_wrapper": {"accumulative_counts": 2}},
    "has a OneCycleLR; alspec follows ConstantLR": {
        "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 1}},
        "param_scheduler": [{"type": "OneCycleLR"}],
    },
    "its PolyLR has eta_min_ratio": {
        "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 1}},
        "param_scheduler": [{"type": "PolyLR", "eta_min_ratio": 0.1}],
    },
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_is_not_followed_is_refused_by_name(words: str) -> None:
    with pytest.raises(InputError, match=words):
        recipe_of(training_of(), ConfigFile({}, **REFUSED[words]))


# ---- schedules


def test_a_config_s_schedule_is_mmengine_s_at_the_config_s_own_length() -> None:
    """With as many iterations as the config was written for, every rate is MMEngine's."""
    own = ConfigFile(
        {},
        {"optimizer": {"type": "SGD", "lr": 1.0}},
        [
            {"type": "LinearLR", "start_factor": 0.1, "begin": 0, "end": 20, "by_epoch": False},
            {"type": "PolyLR", "power": 2.0, "eta_min": 0.01, "begin": 20, "end": 120,
             "by_epoch": False},
            {"type": "MultiStepLR", "milestones": [60, 90], "gamma": 0.5, "begin": 0, "end": 120,
             "by_epoch": False},
        ],
        {"max_iters": 120},
    )  # fmt: skip
    wrapper = OptimWrapper(torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0))
    theirs = [PARAM_SCHEDULERS.build({**s, "optimizer": wrapper}) for s in own.param_scheduler]
    expected = []
    for _ in range(120):
        expected.append(wrapper.param_groups[0]["lr"])
        wrapper.optimizer.step()
        for schedule in theirs:
            schedule.step()
    recipe = recipe_of(training_of(), own)
    assert rates(recipe, 120) == pytest.approx(expected, abs=1e-12)
    longer = rates(recipe, 1200)
    assert longer[::10] == pytest.approx(expected, abs=0.06), "the same shape, ten times longer"


def test_epochs_of_a_config_are_shares_too() -> None:
    own = ConfigFile(
        {},
        {"optimizer": {"type": "SGD", "lr": 1.0}},
        [{"type": "CosineAnnealingLR", "T_max": 8, "begin": 2, "end": 10, "by_epoch": True}],
        {"max_epochs": 10, "by_epoch": True},
    )
    (schedule,) = recipe_of(training_of(), own).schedules
    assert (schedule["begin"], schedule["end"], schedule["T_max"]) == (0.2, 1.0, 0.8)


@pytest.mark.parametrize("seed", range(4))
def test_rates_of_any_schedule_and_length_are_finite_and_never_above_the_highest(seed: int) -> None:
    """200 schedules, trainings of one iteration among them."""
    rng = np.random.default_rng(seed)
    for _ in range(50):
        total = int(rng.integers(1, 1000))
        warm = int(rng.integers(0, total))
        kind = ["PolyLR", "CosineAnnealingLR", "ConstantLR", "MultiStepLR"][int(rng.integers(4))]
        main: dict[str, Any] = {"type": kind, "begin": warm, "end": total}
        if kind == "MultiStepLR":
            main["milestones"] = sorted(int(m) for m in rng.integers(1, total + 1, 2))
        schedules = [{"type": "LinearLR", "start_factor": 1e-6, "begin": 0, "end": warm}]
        own = ConfigFile(
            {},
            {"optimizer": {"type": "SGD", "lr": 1.0}},
            [*(schedules if warm else []), main],
            {"max_iters": total},
        )
        seen = rates(recipe_of(training_of(), own), int(rng.integers(1, 60)))
        assert np.isfinite(seen).all()
        assert max(seen) <= 1 + 1e-9
        assert min(seen) >= 0


def test_warm_up_and_power_of_the_spec() -> None:
    optimizer = {"type": "SGD", "lr": 1.0, "warmup": 0.1, "power": 1.0}
    seen = rates(recipe_of(training_of(config=False, optimizer=optimizer)), 100)
    assert seen[0] == pytest.approx(1e-6)
    assert seen[:10] == sorted(seen[:10])
    assert max(seen) == pytest.approx(1.0, abs=0.02)
    assert seen[-1] == pytest.approx(0.0, abs=0.02)


def test_every_shipped_schedule_and_optimizer_is_followed_or_refused_in_words() -> None:
    home = Path(config_sha256(Path(SEGFORMER))[1]).parents[1]
    refused, followed = set(), 0
    for path in sorted(home.glob("*/*.py")):
        if path.parent.name == "_base_" or "mmpretrain" in path.read_text():
            continue
        if path.parent.name in ("mask2former", "convnext", "poolformer", "vpd"):
            continue  # they import packages that are not here; vpd estimates depth
        if not path.name.startswith(path.parent.name[:4]) or "8xb" not in path.name:
            continue
        own = read_config(path)
        try:
            recipe = recipe_of(training_of(), own)
        except InputError as err:
            refused.add(err.problems[0].what.split(",")[0][:40])
            continue
        followed += 1
        assert recipe.optim_wrapper is not None
        assert len(rates(recipe, 7)) == 7
    assert followed > 40
    assert refused <= {"its `optim_wrapper` adds up 2 batches a "}
