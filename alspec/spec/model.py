"""The frozen models that a study spec is validated into; the paper's values are the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Protocol, TypeAlias, TypeVar, get_args

from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError, PydanticKnownError

from alspec.spec.budget import Budget, Budgets
from alspec.spec.dataset import (
    AllFrames,
    AnyDataset,
    AugmentedFrames,
    DatasetSpec,
    EveryNth,
    FollowingFrames,
    ListedFrames,
    Redundancy,
)
from alspec.spec.execution import Execution
from alspec.spec.fields import Frozen, Name, NotNegative, OptionalPath, PathText, Positive, Size
from alspec.spec.method import AnyMethod, Candidates, Method
from alspec.spec.optimizer import OF_CONFIG, Optimizer
from alspec.spec.origin import Located
from alspec.spec.validation import distinct, failure

__all__ = [
    "S4GAN",
    "AllFrames",
    "AnyModel",
    "AugmentedFrames",
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
    "Optimizer",
    "OptionalPath",
    "PathText",
    "Positive",
    "Pretrained",
    "Redundancy",
    "Size",
    "Study",
    "Training",
]


class ModelConfig(Frozen):
    """Any MMSegmentation config file, with an optional checkpoint of the whole segmentor."""

    config: PathText = Field(
        description="a config that MMSegmentation ships, or a file of your own"
    )
    checkpoint: OptionalPath = Field(
        default=None, description="weights of the whole segmentor that every training starts from"
    )


ModelName: TypeAlias = Literal[
    "deeplabv3plus_wrn38",
    "deeplabv3plus_wrn38_dense",
    "deeplabv3plus_r18",
    "deeplabv3plus_mnv2",
    "deeplabv3plus_small",
    "deeplabv3plus_tiny",
]


def _model_of_its_form(value: object) -> object:
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


AnyModel: TypeAlias = Annotated[
    ModelName | ModelConfig,
    BeforeValidator(_model_of_its_form),
    Field(description="a built-in model, or {config: FILE} for any of MMSegmentation"),
]

Pretrained: TypeAlias = Annotated[
    OptionalPath,
    Field(description="file with the backbone's weights; none starts from random ones"),
]


class Training(Frozen):
    """SGD with a poly schedule, from pretrained weights in every cycle (paper, section 4)."""

    epochs: int = Field(default=100, ge=1, description="passes over the labelled set in each cycle")
    batch_size: int = Field(default=8, ge=2, description="labelled images per SGD step")
    lr: Positive = Field(default=1e-3, description="learning rate of the backbone at the start")
    head_lr_factor: Positive = Field(
        default=10.0, description="learning rate of the heads, as a multiple of `lr`"
    )
    momentum: Annotated[float, Field(ge=0, lt=1)] = Field(default=0.9, description="of SGD")
    weight_decay: NotNegative = Field(default=5e-4, description="of SGD")
    power: NotNegative = Field(
        default=0.9, description="of the poly schedule: the rate falls as (1 - progress)^power"
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto", description="auto: bfloat16 on a GPU, float32 on a CPU"
    )
    crop: Size | None = Field(default=None, description="random crop; none trains on whole images")
    scale: tuple[Positive, Positive] | None = Field(
        default=None, description="random scale before the crop, lowest and highest factor"
    )
    scale_step: Positive | None = Field(
        default=None,
        description="draw the random scale from the lowest factor on in steps of this, "
        "the highest included",
    )
    flip: bool = Field(default=True, description="random horizontal flip")
    colour: bool = Field(
        default=False,
        description="random brightness, contrast, saturation and hue, as MMSegmentation's "
        "PhotoMetricDistortion",
    )
    compile: bool = Field(default=False, description="train through torch.compile")
    optimizer: Optimizer | None = Field(
        default=None,
        description="in place of SGD, as {type: AdamW, lr: 6e-5}; with a model config, its own",
    )

    @model_validator(mode="after")
    def _steps_of_a_scale(self) -> Training:
        if self.scale_step is not None and self.scale is None:
            raise PydanticCustomError(
                "scale_step",
                "scale_step is between the factors of `scale`, which is missing: add it, as "
                "[0.5, 1.5]",
            )
        return self

    @model_serializer(mode="wrap")
    def _as_chosen(self, handler: SerializerFunctionWrapHandler) -> dict[str, object]:
        """Either the paper's SGD or another optimizer: what is not used says nothing."""
        unused = {"optimizer"} if self.optimizer is None else OF_SGD
        return {key: value for key, value in handler(self).items() if key not in unused}


OF_SGD = frozenset({"lr", "head_lr_factor", "momentum", "weight_decay", "power"})
"""Fields of `Training` that `Training.optimizer`, where it is given, has in place of it."""


def with_optimizer(training: Training, model: str | ModelConfig) -> Training:
    """A training whose optimizer is decided: a config's own where a config is named.

    What the spec says of the optimizer beside it, as `training.lr`, becomes part of it.

    Args:
        training: as written.
        model: the study's.
    """
    optimizer = training.optimizer
    if optimizer is None and isinstance(model, ModelConfig):
        optimizer = Optimizer(type=OF_CONFIG)
    if optimizer is None:
        return training
    written = OF_SGD & training.model_fields_set
    missing = {name for name in OF_SGD if getattr(optimizer, name) is None}
    taken = {name: getattr(training, name) for name in written & missing}
    if optimizer.type != OF_CONFIG:
        usual = {name: getattr(training, name) for name in ("lr", "weight_decay", "power")}
        taken = {**{k: v for k, v in usual.items() if k in missing}, **taken}
    if optimizer.type not in (OF_CONFIG, "SGD", "RMSprop"):
        taken.pop("momentum", None)
    others = {name: getattr(training, name) for name in training.model_fields_set - OF_SGD}
    optimizer = optimizer.model_copy(update=taken)
    decided = Training.model_validate({**others, "optimizer": optimizer})
    for name in OF_SGD:  # read from Python, they say what the optimizer says
        if (value := getattr(optimizer, name)) is not None:
            object.__setattr__(decided, name, value)
            decided.model_fields_set.discard(name)
    return decided


class _HasTraining(Protocol):
    """A spec with a model to train."""

    @property
    def model(self) -> str | ModelConfig: ...

    @property
    def training(self) -> Training: ...


Trained = TypeVar("Trained", bound=_HasTraining)


def decide_optimizer(spec: Trained) -> Trained:
    """For `model_validator`: a spec with `model` and `training` gets the optimizer of its model."""
    decided = with_optimizer(spec.training, spec.model)
    optimizer = decided.optimizer
    if optimizer and optimizer.type == OF_CONFIG and isinstance(spec.model, str):
        raise PydanticCustomError(
            "optimizer",
            "training.optimizer is `config`, but the model {model} has no config file. Name an "
            "optimizer, as AdamW, or leave it out for SGD",
            {"model": spec.model},
        )
    object.__setattr__(spec, "training", decided)
    return spec


class S4GAN(Frozen):
    """Weights and threshold of s4GAN's losses (Mittal et al., 2019)."""

    feature_matching: NotNegative = Field(
        default=0.1, description="weight of the feature matching loss"
    )
    self_training: NotNegative = Field(
        default=1.0, description="weight of the cross entropy on pseudo-labels"
    )
    threshold: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.6, description="score of the discriminator from which a prediction is accepted"
    )
    discriminator_lr: Positive = Field(
        default=1e-4, description="learning rate of the discriminator, trained by Adam"
    )


class Evaluation(Frozen):
    """Which numbers the report gives: mIoU at these percentages of labels, and AUC@B."""

    miou_at: Annotated[
        tuple[Annotated[float, Field(gt=0, le=100)], ...], distinct("percentage")
    ] = Field(
        default=(30.0, 15.0, 7.5, 6.0),
        description="labelled percentage at which the report compares mIoU: of each budget the "
        "first that it reaches after its initial set",
    )
    auc: bool = Field(default=True, description="whether the report compares AUC@B")
    image_size: Size | None = Field(
        default=None, description="height, width to measure at; the dataset's where there is none"
    )


def _as_list(value: object) -> object:
    return value if isinstance(value, (list, tuple)) else (value,)


class Study(Located):
    """A whole study: what is compared, on which data, at which budgets."""

    study: Name = Field(description="names the results folder")
    datasets: Annotated[
        tuple[AnyDataset, ...],
        Field(min_length=1, description="each is a setting of its own with every budget"),
        distinct("dataset", lambda dataset: dataset.name),
    ]
    budgets: Budgets = Field(description="how many images are labelled at each cycle, as 10-10")
    methods: Annotated[
        tuple[AnyMethod, ...],
        Field(min_length=1, description="acquisition functions to compare"),
        distinct("method", lambda method: method.label),
    ]
    ssl: Annotated[
        tuple[bool, ...],
        BeforeValidator(_as_list),
        Field(min_length=1, description="whether models are also trained with s4GAN"),
        distinct("value"),
    ] = (False, True)
    baselines: Annotated[tuple[Literal["full"], ...], distinct("baseline")] = Field(
        default=("full",), description="full: a model trained on all images of the pool"
    )
    seeds: Annotated[
        tuple[Annotated[int, Field(ge=0)], ...],
        Field(min_length=1, description="repetitions; a claim needs three or more"),
        distinct("seed"),
    ] = (0, 1, 2)
    model: AnyModel = "deeplabv3plus_wrn38"
    pretrained: Pretrained = None
    training: Training = Field(
        default_factory=Training, description="how the model is trained in every cycle"
    )
    s4gan: S4GAN = Field(default_factory=S4GAN, description="losses of trainings with SSL")
    evaluation: Evaluation = Field(
        default_factory=Evaluation, description="what the report compares"
    )
    keep: Literal["none", "last", "all"] = Field(
        default="last", description="whose weights stay on disk: the last cycle's, all, or none"
    )
    execution: Execution = Field(
        default_factory=Execution, description="where steps run; never changes a result's key"
    )

    _decided = model_validator(mode="after")(decide_optimizer)

    @model_validator(mode="after")
    def _batches_can_be_shared(self) -> Study:
        """Several devices train on equal shares of a batch, by code that is not compiled."""
        devices, batch = self.execution.devices_a_training, self.training.batch_size
        why = ""
        if batch % devices:
            why = (
                f"{devices} devices cannot share a batch of {batch} images equally. Choose a "
                "number that divides training.batch_size, which stays the size of the whole batch"
            )
        elif devices > 1 and self.training.compile:
            why = (
                f"with training.compile a training takes one device, not {devices}. Leave out one "
                "of them"
            )
        if why:
            raise failure("devices", devices, ("execution", "devices"), {"why": why})
        return self
