"""The frozen models that a study spec is validated into; the paper's values are the defaults."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError, PydanticKnownError

from alspec.spec.dataset import (
    AllFrames,
    AnyDataset,
    DatasetSpec,
    EveryNth,
    FollowingFrames,
    ListedFrames,
    Redundancy,
)
from alspec.spec.fields import Frozen, Name, NotNegative, OptionalPath, PathText, Positive, Size
from alspec.spec.method import AnyMethod, Candidates, Method
from alspec.spec.validation import distinct

__all__ = [
    "S4GAN",
    "AllFrames",
    "Budget",
    "Candidates",
    "DatasetSpec",
    "Evaluation",
    "EveryNth",
    "FollowingFrames",
    "Frozen",
    "ListedFrames",
    "Method",
    "ModelConfig",
    "ModelName",
    "Name",
    "NotNegative",
    "OptionalPath",
    "PathText",
    "Positive",
    "Redundancy",
    "Size",
    "Study",
    "Training",
]

_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_PERCENT_BUDGET = re.compile(f"({_NUMBER})-({_NUMBER})")


class Budget(Frozen):
    """How many images are labelled: `initial`, then `step` more a cycle, `cycles` sets in all.

    `10-10` stands for 10 % + 4 x 10 %, five labelled sets (paper, section 4).
    """

    name: Name
    unit: Literal["percent", "images"] = "percent"
    initial: float = Field(gt=0)
    step: float = Field(gt=0)
    cycles: int = Field(default=5, ge=1, le=1000, description="labelled sets, the initial included")

    @model_validator(mode="after")
    def _within_bounds(self) -> Budget:
        last = Fraction(str(self.initial)) + (self.cycles - 1) * Fraction(str(self.step))
        if self.unit == "percent" and last > 100:
            raise PydanticCustomError(
                "budget",
                "budget {name} ends at {last} % labelled: {initial} + {more} x {step}; "
                "100 % is the whole pool. Use fewer cycles or smaller steps",
                {
                    "name": self.name,
                    "last": f"{float(last):g}",
                    "initial": f"{self.initial:g}",
                    "more": self.cycles - 1,
                    "step": f"{self.step:g}",
                },
            )
        if self.unit == "images" and not (self.initial.is_integer() and self.step.is_integer()):
            raise PydanticCustomError("budget", "a budget in images takes whole numbers", {})
        return self

    def labelled_images(self, pool_images: int) -> tuple[int, ...]:
        """Images labelled at each cycle of a pool of that size, cumulative, rounded half up."""
        totals = [
            Fraction(str(self.initial)) + cycle * Fraction(str(self.step))
            for cycle in range(self.cycles)
        ]
        if self.unit == "percent":
            totals = [total * pool_images / 100 for total in totals]
        return tuple(int(total + Fraction(1, 2)) for total in totals)


def _budget_from_text(value: Any) -> Any:
    if isinstance(value, (Mapping, Budget)):
        return value
    found = _PERCENT_BUDGET.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise PydanticCustomError(
            "budget",
            "`{value}` is not a budget. Write `10-10` (initial and step in percent), or "
            "{name: 3k, unit: images, initial: 1000, step: 1000, cycles: 3}",
            {"value": str(value)},
        )
    return {"name": value, "initial": float(found[1]), "step": float(found[2])}


AnyBudget: TypeAlias = Annotated[Budget, BeforeValidator(_budget_from_text)]


class ModelConfig(Frozen):
    """Any MMSegmentation config file, with an optional checkpoint of the whole segmentor."""

    config: PathText
    checkpoint: OptionalPath = None


ModelName: TypeAlias = Literal[
    "deeplabv3plus_wrn38", "deeplabv3plus_r18", "deeplabv3plus_small", "deeplabv3plus_tiny"
]


def _model_of_its_form(value: Any) -> Any:
    if isinstance(value, Mapping):
        return ModelConfig.model_validate(value)
    if isinstance(value, str) and value not in get_args(ModelName):
        known = " or ".join(repr(name) for name in get_args(ModelName))
        raise PydanticKnownError("literal_error", {"expected": known})
    if not isinstance(value, (str, ModelConfig)):
        raise PydanticCustomError(
            "model", "expected the name of a model, or {config: file, checkpoint: file}", {}
        )
    return value


class Training(Frozen):
    """SGD with a poly schedule, from pretrained weights in every cycle (paper, section 4)."""

    epochs: int = Field(default=100, ge=1)
    batch_size: int = Field(default=8, ge=2, description="labelled images a step of SGD")
    lr: Positive = 1e-3
    head_lr_factor: Positive = 10.0
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    weight_decay: NotNegative = 5e-4
    power: NotNegative = 0.9
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    crop: Size | None = Field(default=None, description="random crop; none trains on whole images")
    scale: tuple[Positive, Positive] | None = Field(
        default=None, description="random scale before the crop, lowest and highest factor"
    )
    flip: bool = Field(default=True, description="random horizontal flip")


class S4GAN(Frozen):
    """Weights and threshold of s4GAN's losses (Mittal et al., 2019)."""

    feature_matching: NotNegative = 0.1
    self_training: NotNegative = 1.0
    threshold: Annotated[float, Field(ge=0, le=1)] = 0.6
    discriminator_lr: Positive = 1e-4


class Evaluation(Frozen):
    """Which numbers the report gives: mIoU at these percentages of labels, and AUC@B."""

    miou_at: Annotated[
        tuple[Annotated[float, Field(gt=0, le=100)], ...], distinct("percentage")
    ] = (30.0, 15.0, 7.5, 6.0)
    auc: bool = True


def _as_list(value: Any) -> Any:
    return value if isinstance(value, (list, tuple)) else (value,)


class Study(Frozen):
    """A whole study: what is compared, on which data, at which budgets."""

    study: Name = Field(description="names the results folder")
    datasets: Annotated[
        tuple[AnyDataset, ...],
        Field(min_length=1),
        distinct("dataset", lambda dataset: dataset.name),
    ]
    budgets: Annotated[
        tuple[AnyBudget, ...], Field(min_length=1), distinct("budget", lambda budget: budget.name)
    ]
    methods: Annotated[
        tuple[AnyMethod, ...], Field(min_length=1), distinct("method", lambda method: method.label)
    ]
    ssl: Annotated[
        tuple[bool, ...],
        BeforeValidator(_as_list),
        Field(min_length=1),
        distinct("value"),
    ] = (False, True)
    baselines: Annotated[tuple[Literal["full"], ...], distinct("baseline")] = ("full",)
    seeds: Annotated[
        tuple[Annotated[int, Field(ge=0)], ...],
        Field(min_length=1),
        distinct("seed"),
    ] = (0, 1, 2)
    model: Annotated[ModelName | ModelConfig, BeforeValidator(_model_of_its_form)] = (
        "deeplabv3plus_wrn38"
    )
    pretrained: OptionalPath = None
    training: Training = Field(default_factory=Training)
    s4gan: S4GAN = Field(default_factory=S4GAN)
    evaluation: Evaluation = Field(default_factory=Evaluation)
    keep: Literal["none", "last", "all"] = "last"
