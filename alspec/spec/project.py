"""The frozen model of a labelling project: images, some with masks, and how to choose more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SerializeAsAny, model_validator
from pydantic_core import PydanticCustomError

from alspec.spec.dataset import DatasetSpec
from alspec.spec.execution import Execution
from alspec.spec.fields import Name, OptionalPath
from alspec.spec.method import Method, method_from_yaml
from alspec.spec.model import (
    S4GAN,
    AnyModel,
    Pretrained,
    Training,
    decide_optimizer,
)
from alspec.spec.origin import Located
from alspec.spec.validation import failure, plugin_model, tag_missing, validate_plugin

AUTO: Literal["auto"] = "auto"
IGNORED = "ignore"
"""As `unlabelled`: pixels that nobody labelled count for nothing."""

KIND = "partly_labelled"
"""The dataset kind that reads a project's folder, of which some images have no mask."""


def _folder(value: object) -> object:
    """A project's dataset: in the spec a `folder`, of which some images have no mask yet."""
    if not isinstance(value, Mapping):
        return value
    if "kind" not in value:
        raise tag_missing("kind", value, DatasetSpec.model_fields)
    if value["kind"] not in ("folder", KIND):
        why = f"a labelling project takes `kind: folder`, not {value['kind']!r}"
        raise failure("project", value["kind"], ("kind",), {"why": why})
    model = plugin_model("alspec.datasets", KIND, "Spec", "kind")
    return validate_plugin(model, value, "kind")


def _method_or_auto(value: object) -> object:
    return AUTO if value == AUTO else method_from_yaml(value)


class Project(Located):
    """Which images are there, what they show, and how the next ones to label are chosen."""

    project: Name = Field(description="names the results folder")
    dataset: Annotated[SerializeAsAny[DatasetSpec], BeforeValidator(_folder)] = Field(
        description="the images, of which few or none have masks yet"
    )
    batch: int = Field(default=50, ge=1, description="images a batch")
    check: float = Field(
        default=0.2,
        ge=0,
        lt=1,
        description="share of a batch sampled uniformly, to measure on; 0 where there is a val",
    )
    first: Literal["herding", "uniform", "random"] = Field(
        default="herding", description="how the first batch is chosen, when nothing is labelled"
    )
    method: Annotated[Literal["auto"] | Method, BeforeValidator(_method_or_auto)] = Field(
        default=AUTO, description="auto asks the guide; or any method by name"
    )
    ssl: Literal["auto"] | bool = Field(
        default=AUTO, description="train with s4GAN; auto as the guide advises"
    )
    features: OptionalPath = Field(
        default=None, description="npz with `ids` and `vectors` of any model, for first batches"
    )
    unlabelled: str = Field(
        default=IGNORED, description="the class of pixels that nobody labelled, or ignore"
    )
    model: AnyModel = "deeplabv3plus_wrn38"
    pretrained: Pretrained = None
    training: Training = Field(
        default_factory=Training, description="how the model is trained for every batch"
    )
    s4gan: S4GAN = Field(default_factory=S4GAN, description="losses of trainings with SSL")
    seed: int = Field(default=0, ge=0, description="of all that is random")
    execution: Execution = Field(
        default_factory=Execution, description="where steps run; never changes a result's key"
    )

    _decided = model_validator(mode="after")(decide_optimizer)

    @model_validator(mode="after")
    def _one_device(self) -> Project:
        devices = self.execution.devices_a_training
        if devices > 1:
            why = (
                "a labelling project trains on one device. Name devices as in --devices, or leave "
                "it out"
            )
            raise failure("devices", devices, ("execution", "devices"), {"why": why})
        return self

    @model_validator(mode="after")
    def _known_class(self) -> Project:
        classes = self.classes
        if classes and self.unlabelled != IGNORED and self.unlabelled not in classes:
            raise PydanticCustomError(
                "project",
                "`unlabelled` is `{name}`, which is no class; name one of {known}, or ignore",
                {"name": self.unlabelled, "known": ", ".join(classes)},
            )
        return self

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names by id."""
        names: tuple[str, ...] = getattr(self.dataset, "class_names", ())
        return names

    @property
    def has_val(self) -> bool:
        """Whether the dataset has validation images of its own."""
        return getattr(self.dataset, "val", None) is not None

    @property
    def check_share(self) -> float:
        """The share of a batch that is a check set."""
        return 0.0 if self.has_val else self.check
