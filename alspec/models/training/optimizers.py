"""Optimizer and learning rates of a training: the paper's SGD, one of the spec, or a config's own.

A schedule is given in shares of a training, for its length follows from the labelled images: the
warm-up of 1,500 of a config's 160,000 iterations becomes 0.94 % of the iterations here.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from alspec.models.nets import compat  # isort: skip  (needed by the imports below)
import mmseg.engine.optimizers  # registers the constructors that configs name
import torch
from mmengine.config import ConfigDict
from mmengine.optim import OptimWrapper, PolyLR, build_optim_wrapper
from mmengine.registry import OPTIM_WRAPPERS, PARAM_SCHEDULERS
from torch import nn

from alspec.errors import InputError
from alspec.models.nets.config_data import ConfigData
from alspec.models.nets.own_config import ConfigFile
from alspec.spec.model import Training
from alspec.spec.optimizer import OF_CONFIG, Optimizer

__all__ = ["BFloat16OptimWrapper", "Recipe", "compat", "in_words", "recipe_of"]

_SCALED = ("begin", "end", "T_max", "milestones")
_SCHEDULES: Mapping[str, frozenset[str]] = {
    "ConstantLR": frozenset({"factor"}),
    "LinearLR": frozenset({"start_factor", "end_factor"}),
    "PolyLR": frozenset({"power", "eta_min"}),
    "CosineAnnealingLR": frozenset({"T_max", "eta_min", "eta_min_ratio"}),
    "MultiStepLR": frozenset({"milestones", "gamma"}),
}
"""Schedules whose shape does not depend on the length of a training, and their arguments."""
_WRAPPERS = ("OptimWrapper", "AmpOptimWrapper")
_WARM_UP_FROM = 1e-6
"""Of the learning rate, where a warm-up begins: as MMSegmentation's configs of transformers."""


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):  # type: ignore[misc]
    """Forward passes in bfloat16; weights, gradients and updates stay float32."""

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Autocast for whatever device is in use."""
        device = next(model.parameters()).device.type
        with super().optim_context(model), torch.autocast(device, torch.bfloat16):
            yield


class Schedule(Protocol):
    """A learning rate over a training, as MMEngine's schedulers are."""

    def step(self) -> None:
        """Set the rate of the next iteration."""
        ...

    def state_dict(self) -> Mapping[str, object]:
        """What `load_state_dict` takes to continue from here."""
        ...

    def load_state_dict(self, state_dict: Mapping[str, object]) -> None:
        """Continue from what `state_dict` gave."""
        ...


@dataclass(frozen=True)
class Recipe:
    """How a training moves the weights.

    Attributes:
        training: the spec's, its optimizer decided.
        optim_wrapper: MMEngine's, with `optimizer`; None for the paper's SGD and poly schedule.
        schedules: MMEngine's, with what counts iterations in shares of the training.
    """

    training: Training
    optim_wrapper: ConfigData | None = None
    schedules: Sequence[ConfigData] = ()

    def optimizer(
        self, segmentor: nn.Module, device: torch.device, *, bfloat16: bool
    ) -> OptimWrapper:
        """The optimizer of a segmentor's weights, in MMEngine's wrapper.

        Raises:
            InputError: MMEngine cannot build it.
        """
        kind = BFloat16OptimWrapper if bfloat16 else OptimWrapper
        if self.optim_wrapper is None:
            return kind(_sgd(segmentor, self.training, device))
        config = ConfigDict({**copy.deepcopy(dict(self.optim_wrapper)), "type": kind.__name__})
        try:
            return build_optim_wrapper(segmentor, config)
        except Exception as err:
            raise InputError.at(
                "training.optimizer", f"cannot be built ({type(err).__name__}: {err})"
            ) from err

    def schedules_of(self, optimizer: OptimWrapper, iterations: int) -> list[Schedule]:
        """The learning rates over a training of so many iterations."""
        if self.optim_wrapper is None:
            return [poly(optimizer, self.training, iterations)]
        built = (_scaled(schedule, iterations) for schedule in self.schedules)
        return [
            PARAM_SCHEDULERS.build({**schedule, "optimizer": optimizer, "by_epoch": False})
            for schedule in built
            if schedule["begin"] < iterations
        ]


def recipe_of(training: Training, own: ConfigFile | None = None) -> Recipe:
    """What a training of a spec does, with the config file that its model is from.

    Raises:
        InputError: the config asks for what alspec does not do; every reason at once.
    """
    asked = training.optimizer
    if asked is None:
        return Recipe(training)
    if asked.type != OF_CONFIG:
        return Recipe(training, _wrapper_of(asked), _schedules_of(asked))
    if own is None or own.optim_wrapper is None:
        names = ("lr", "weight_decay", "momentum", "head_lr_factor", "power")
        given = {name: getattr(asked, name) for name in names}
        sgd = {name: value for name, value in given.items() if value is not None}
        return Recipe(training.model_copy(update={**sgd, "optimizer": None}))
    refused = [*_wrapper_faults(own.optim_wrapper), *_schedule_faults(own.param_scheduler)]
    if refused:
        problems = [problem for why in refused for problem in InputError.at("model", why).problems]
        raise InputError(problems)
    schedules: Sequence[ConfigData] = _shares(own)
    if asked.power is not None or asked.warmup is not None:
        schedules = _schedules_of(asked)
    return Recipe(training, _wrapper_of(asked, own.optim_wrapper), schedules)


def in_words(recipe: Recipe) -> str:
    """The recipe in a sentence without an end."""
    if recipe.optim_wrapper is None:
        t = recipe.training
        return f"SGD, lr {t.lr:g} ({t.lr * t.head_lr_factor:g} for heads), poly schedule"
    optimizer = dict(recipe.optim_wrapper["optimizer"])
    parts = [str(optimizer.pop("type")), *(f"{k} {v}" for k, v in sorted(optimizer.items()))]
    for key, value in sorted((recipe.optim_wrapper.get("paramwise_cfg") or {}).items()):
        parts.append(f"{key} {', '.join(value) if isinstance(value, Mapping) else value}")
    for key in sorted(recipe.optim_wrapper.keys() - {"type", "optimizer", "paramwise_cfg"}):
        parts.append(f"{key} {recipe.optim_wrapper[key]}")
    spans = (
        f"{s['type']} from {100 * s['begin']:.3g} to {100 * s['end']:.3g} %"
        for s in recipe.schedules
    )
    return "; ".join([", ".join(parts), *spans])


def _wrapper_of(asked: Optimizer, own: ConfigData | None = None) -> ConfigData:
    """MMEngine's config of what the spec asks for; of what it leaves open, the config file's."""
    names = ("optimizer", "paramwise_cfg", "clip_grad", "constructor")
    wrapper = {key: copy.deepcopy(own[key]) for key in names if own and own.get(key)}
    optimizer = wrapper.get("optimizer", {"type": asked.type})
    wrapper["optimizer"] = {**optimizer, **asked.arguments}
    if asked.paramwise_cfg is not None:
        wrapper["paramwise_cfg"] = copy.deepcopy(asked.paramwise_cfg)
    if asked.head_lr_factor is not None:
        paramwise = wrapper.setdefault("paramwise_cfg", {})
        heads = {"decode_head": {"lr_mult": asked.head_lr_factor}}
        heads["auxiliary_head"] = dict(heads["decode_head"])
        paramwise["custom_keys"] = {**paramwise.get("custom_keys", {}), **heads}
    if asked.clip_grad is not None:
        wrapper["clip_grad"] = {"max_norm": asked.clip_grad}
    return wrapper


def _schedules_of(asked: Optimizer) -> list[ConfigData]:
    """A line up, then MMSegmentation's poly schedule down."""
    start = asked.warmup or 0.0
    power = 0.9 if asked.power is None else asked.power
    poly = {"type": "PolyLR", "power": power, "eta_min": 0.0, "begin": start, "end": 1.0}
    warm = {"type": "LinearLR", "start_factor": _WARM_UP_FROM, "begin": 0.0, "end": start}
    return [warm, poly] if start else [poly]


def _wrapper_faults(wrapper: ConfigData) -> Iterator[str]:
    kind = wrapper.get("type", "OptimWrapper")
    if kind not in _WRAPPERS:
        yield (
            f"its `optim_wrapper` is a {kind}, which alspec does not follow. Give the study an "
            "optimizer of its own: `training.optimizer: {type: AdamW, lr: ...}`"
        )
    if wrapper.get("accumulative_counts", 1) != 1:
        yield (
            f"its `optim_wrapper` adds up {wrapper['accumulative_counts']} batches a step, which "
            "alspec does not do. Set `accumulative_counts=1` and a larger training.batch_size"
        )


def _schedule_faults(schedules: Sequence[ConfigData]) -> Iterator[str]:
    for schedule in schedules:
        kind = str(schedule.get("type"))
        known = {"type", "begin", "end", "by_epoch", "convert_to_iter_based", "verbose"}
        if kind not in _SCHEDULES:
            yield (
                f"its `param_scheduler` has a {kind}; alspec follows {', '.join(_SCHEDULES)}. Set "
                "`power` in training.optimizer to have a poly schedule in its place"
            )
        elif unknown := sorted(schedule.keys() - known - _SCHEDULES[kind]):
            yield f"its {kind} has {', '.join(unknown)}, which alspec does not follow"


def _shares(own: ConfigFile) -> list[ConfigData]:
    """A config's schedules in shares of its own training."""
    length: float | None = own.train_cfg.get("max_iters") or own.train_cfg.get("max_epochs")
    if length is None:
        length = max([s["end"] for s in own.param_scheduler if "end" in s], default=None)
    total = length or 1
    made = []
    for given in own.param_scheduler:
        schedule = {k: v for k, v in given.items() if k in ("type", *_SCHEDULES[given["type"]])}
        schedule["begin"] = min(1.0, given.get("begin", 0) / total)
        schedule["end"] = min(1.0, given.get("end", total) / total)
        if "milestones" in given:
            schedule["milestones"] = [milestone / total for milestone in given["milestones"]]
        if "T_max" in given:
            schedule["T_max"] = given["T_max"] / total
        made.append(schedule)
    return made


def _scaled(schedule: ConfigData, iterations: int) -> ConfigData:
    """The same in iterations; a span has one at least."""
    scaled = dict(schedule)
    scaled["begin"] = round(schedule["begin"] * iterations)
    scaled["end"] = max(scaled["begin"] + 1, round(schedule["end"] * iterations))
    if "milestones" in schedule:
        scaled["milestones"] = [max(1, round(m * iterations)) for m in schedule["milestones"]]
    if "T_max" in schedule:
        scaled["T_max"] = max(1, round(schedule["T_max"] * iterations))
    return scaled


def _sgd(segmentor: nn.Module, training: Training, device: torch.device) -> torch.optim.Optimizer:
    heads = [
        parameter
        for name, parameter in segmentor.named_parameters()
        if name.startswith(("decode_head", "auxiliary_head"))
    ]
    in_heads = {id(parameter) for parameter in heads}
    rest = [parameter for parameter in segmentor.parameters() if id(parameter) not in in_heads]
    groups: list[dict[str, object]] = [
        {"params": rest},
        {"params": heads, "lr": training.lr * training.head_lr_factor},
    ]
    return torch.optim.SGD(
        groups,
        lr=training.lr,
        momentum=training.momentum,
        weight_decay=training.weight_decay,
        fused=device.type == "cuda",
    )


def poly(optimizer: OptimWrapper, training: Training, iterations: int) -> PolyLR:
    """The paper's schedule: the rate falls to nothing just after the last iteration."""
    return PolyLR(
        optimizer, power=training.power, eta_min=0.0, begin=0, end=iterations + 1, by_epoch=False
    )


_ = mmseg.engine.optimizers
