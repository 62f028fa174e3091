"""The frozen models that a study spec is validated into; the paper's values are the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializeAsAny,
    ValidationError,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from alspec import plugins
from alspec.errors import PluginError


class Frozen(BaseModel):
    """A spec model: immutable, and every unknown key is an error."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True
    )


Name: TypeAlias = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$", min_length=1, max_length=80)
]
PathText: TypeAlias = Annotated[str, Field(json_schema_extra={"format": "path"})]
"""A path as the user writes it; the only place where `${VAR}` is expanded."""

Size: TypeAlias = tuple[Annotated[int, Field(ge=8, le=16384)], Annotated[int, Field(ge=8, le=16384)]]
"""Height, width in pixels."""


def _unique(kind: str, values: tuple[Any, ...], key: Any = lambda value: value) -> None:
    seen: set[Any] = set()
    for value in values:
        if key(value) in seen:
            raise PydanticCustomError(
                "repeated", "{kind} `{value}` is named twice", {"kind": kind, "value": key(value)}
            )
        seen.add(key(value))


# ---- redundancy -------------------------------------------------------------------------------


class AllFrames(Frozen):
    """Every frame of the dataset is in the pool."""

    kind: Literal["all"] = "all"


class EveryNth(Frozen):
    """Every n-th frame of each sequence, the first included."""

    kind: Literal["every"]
    n: int = Field(ge=1)


class FollowingFrames(Frozen):
    """Random frames, each with the frames that follow it (the paper's Pool-0f to Pool-21f)."""

    kind: Literal["frames"]
    size: int = Field(ge=1, description="images in the pool")
    consecutive: int = Field(ge=0, description="following frames kept with each random frame")
    seed: int = Field(default=0, ge=0, description="draws the pool; one pool for all study seeds")

    @model_validator(mode="after")
    def _whole_groups(self) -> FollowingFrames:
        group = self.consecutive + 1
        if self.size % group:
            raise PydanticCustomError(
                "groups",
                "size {size} is not a multiple of {group} (a frame and its {following} followers); "
                "nearest sizes: {below} and {above}",
                {
                    "size": self.size,
                    "group": group,
                    "following": self.consecutive,
                    "below": self.size // group * group,
                    "above": (self.size // group + 1) * group,
                },
            )
        return self


class ListedFrames(Frozen):
    """The frames named in a text file, one id a line; repeated lines count once."""

    kind: Literal["list"]
    path: PathText


Redundancy: TypeAlias = Annotated[
    AllFrames | EveryNth | FollowingFrames | ListedFrames, Field(discriminator="kind")
]


# ---- datasets ---------------------------------------------------------------------------------


class DatasetSpec(Frozen):
    """What every dataset kind has; a kind adds its own fields in a subclass named `Spec`."""

    name: Name = Field(description="label in tables")
    kind: str
    root: PathText | None = None
    image_size: Size = Field(description="height, width that images are resized to")
    redundancy: Redundancy = Field(default_factory=AllFrames)


def _dataset_of_its_kind(value: Any) -> Any:
    """Validate with the model of the kind it names, found through the plugin door."""
    if not isinstance(value, Mapping):
        return value
    kind = value.get("kind")
    if not isinstance(kind, str):
        return DatasetSpec.model_validate(value)
    return _load("alspec.datasets", kind, "kind").Spec.model_validate(value)


def _load(group: str, name: str, field: str) -> Any:
    try:
        return plugins.load(group, name)
    except PluginError as err:
        raise ValidationError.from_exception_data(
            "plugin",
            [
                InitErrorDetails(
                    type=PydanticCustomError("plugin", "{why}", {"why": str(err)}),
                    loc=(field,),
                    input=name,
                )
            ],
        ) from None


AnyDataset: TypeAlias = Annotated[SerializeAsAny[DatasetSpec], BeforeValidator(_dataset_of_its_kind)]


# ---- budgets ----------------------------------------------------------------------------------


class Budget(Frozen):
    """How many images are labelled at each cycle: `initial`, then `step` more, `cycles` sets in all.

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
        """Images labelled at each cycle, cumulative, rounded half up; `pool_images` is the pool's size."""
        totals = [
            Fraction(str(self.initial)) + cycle * Fraction(str(self.step))
            for cycle in range(self.cycles)
        ]
        if self.unit == "percent":
            totals = [total * pool_images / 100 for total in totals]
        return tuple(int(total + Fraction(1, 2)) for total in totals)


def _budget_from_text(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    first, dash, second = value.partition("-")
    try:
        initial, step = float(first), float(second)
    except ValueError:
        dash = ""
    if not dash:
        raise PydanticCustomError(
            "budget",
            "`{value}` is not a budget. Write `10-10` (initial and step in percent), or "
            "{{name: 3k, unit: images, initial: 1000, step: 1000, cycles: 3}}",
            {"value": value},
        )
    return {"name": value, "initial": initial, "step": step}


AnyBudget: TypeAlias = Annotated[Budget, BeforeValidator(_budget_from_text)]


# ---- methods ----------------------------------------------------------------------------------


class Candidates(Frozen):
    """Which pool images may be acquired: every n-th frame of each sequence."""

    every: int = Field(ge=1)


class Method(Frozen):
    """An acquisition function by its plugin name, with its parameters resolved to plain data."""

    name: str
    label: Name
    candidates: Candidates | None = None
    params: dict[str, Any] = Field(default_factory=dict)


_METHOD_KEYS = ("name", "label", "candidates")


def _method_from_yaml(value: Any) -> Any:
    """`entropy` or `{name: bald, passes: 20}`: parameters stand beside the name in the spec."""
    if isinstance(value, str):
        value = {"name": value}
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
        return value
    if "params" in value and isinstance(value["params"], Mapping):  # a resolved spec
        value = {**{k: v for k, v in value.items() if k != "params"}, **value["params"]}
    given = {k: v for k, v in value.items() if k not in _METHOD_KEYS}
    function = _load("alspec.acquisition", value["name"], "name")
    errors: list[Any] = []
    own: dict[str, Any] = {k: v for k, v in value.items() if k in _METHOD_KEYS}
    try:
        own["params"] = function.Params.model_validate(given).model_dump(mode="json")
    except ValidationError as err:
        errors += err.errors(include_url=False)
    own.setdefault("label", value["name"])
    try:
        method = Method.model_validate(own)
    except ValidationError as err:
        errors += err.errors(include_url=False)
    if errors:
        raise ValidationError.from_exception_data("method", [_again(error) for error in errors])
    return method


def _again(error: Any) -> InitErrorDetails:
    """An error of one model as an error of another."""
    kind = PydanticCustomError(error["type"], "{message}", {"message": error["msg"]})
    return InitErrorDetails(type=kind, loc=error["loc"], input=error["input"])


AnyMethod: TypeAlias = Annotated[Method, BeforeValidator(_method_from_yaml)]


# ---- model, training, evaluation --------------------------------------------------------------


class ModelConfig(Frozen):
    """Any MMSegmentation config file, with an optional checkpoint of the whole segmentor."""

    config: PathText
    checkpoint: PathText | None = None


ModelName: TypeAlias = Literal[
    "deeplabv3plus_wrn38", "deeplabv3plus_r18", "deeplabv3plus_small", "deeplabv3plus_tiny"
]
Positive: TypeAlias = Annotated[float, Field(gt=0)]
NotNegative: TypeAlias = Annotated[float, Field(ge=0)]


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

    miou_at: tuple[Annotated[float, Field(gt=0, le=100)], ...] = (30.0, 15.0, 7.5, 6.0)
    auc: bool = True


# ---- the study --------------------------------------------------------------------------------


def _as_list(value: Any) -> Any:
    return value if isinstance(value, (list, tuple)) else (value,)


class Study(Frozen):
    """A whole study: what is compared, on which data, at which budgets."""

    study: Name
    datasets: Annotated[
        tuple[AnyDataset, ...],
        Field(min_length=1),
        AfterValidator(lambda v: (_unique("dataset", v, lambda d: d.name), v)[1]),
    ]
    budgets: Annotated[
        tuple[AnyBudget, ...],
        Field(min_length=1),
        AfterValidator(lambda v: (_unique("budget", v, lambda b: b.name), v)[1]),
    ]
    methods: Annotated[
        tuple[AnyMethod, ...],
        Field(min_length=1),
        AfterValidator(lambda v: (_unique("method", v, lambda m: m.label), v)[1]),
    ]
    ssl: Annotated[
        tuple[Annotated[bool, Field(strict=True)], ...], BeforeValidator(_as_list), Field(min_length=1)
    ] = (False, True)
    baselines: tuple[Literal["full"], ...] = ("full",)
    seeds: Annotated[
        tuple[Annotated[int, Field(ge=0, strict=True)], ...],
        Field(min_length=1),
        AfterValidator(lambda v: (_unique("seed", v), v)[1]),
    ] = (0, 1, 2)
    model: ModelName | ModelConfig = "deeplabv3plus_wrn38"
    pretrained: PathText | None = None
    training: Training = Field(default_factory=Training)
    s4gan: S4GAN = Field(default_factory=S4GAN)
    evaluation: Evaluation = Field(default_factory=Evaluation)
    keep: Literal["none", "last", "all"] = "last"
