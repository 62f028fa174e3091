"""The kind `train`: a labelled set to weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from alspec.plan.kinds.record import Amount, JsonArtifact, Kind, Scale, StepParams

if TYPE_CHECKING:
    from alspec.spec.model import Training

WEIGHTS = "weights.safetensors"
"""Artifact: the segmentor's weights and statistics, float32; dropped when nobody needs them."""

EPOCHS = "epochs.csv"
"""Artifact: `epoch` and the mean of each loss in it."""

SSL_FACTOR = 3.5
"""A step of s4GAN against one of supervised training: twice the images, and the discriminator."""

DISCRIMINATOR = 2
"""Raised when s4GAN's discriminator is another net; part of the keys of trainings with it."""

PADDING = 2
"""Raised when crops are padded with other pixels; part of the keys of trainings that may pad."""

_TIMED = ("batch_size", "crop", "precision", "compile")


@dataclass(frozen=True)
class TrainParams(StepParams):
    """What decides a training.

    Attributes:
        model: identity of the model and of weights from files.
        mc_dropout: with dropout layers in the decoder.
        classes: how many.
        training: as the spec's `training`.
        s4gan: as the spec's `s4gan`; None for supervised training.
        seed: of the study.
        resizing: version of the code that resizes; where a random scale does.
        excluded: ids that SSL may not see.
        discriminator: version of s4GAN's discriminator; where there is one.
        padding: version of the code that pads crops; where an image may be smaller than they are.
        devices: that train together, with other roundings and dropout masks; where several do.
    """

    OPTIONAL = frozenset({"resizing", "excluded", "discriminator", "padding", "devices"})

    model: Mapping[str, str]
    mc_dropout: bool
    classes: int
    training: Mapping[str, object]
    s4gan: Mapping[str, object] | None
    seed: int
    resizing: object = None
    excluded: Sequence[str] = ()
    discriminator: int | None = None
    padding: int | None = None
    devices: int | None = None


@dataclass(frozen=True)
class ModelFacts(JsonArtifact):
    """What builds the segmentor that the weights belong to.

    Attributes:
        config: MMSegmentation's model config as Python's literals; JSON would turn tuples, which
            MMSegmentation distinguishes, into lists.
        mc_dropout: with dropout layers in the decoder.
        precision: that it was trained in.
    """

    FILE: ClassVar[str] = "model.json"

    config: str
    mc_dropout: bool
    precision: str = "float32"


@dataclass(frozen=True)
class TrainFacts(JsonArtifact):
    """What a training was.

    Attributes:
        seconds: wall time of the loop.
        device: that it ran on; `4 x cuda` where several trained together.
        iterations: updates of the weights.
        images_per_second: labelled images.
        parameters: trainable numbers.
        labelled_images: in the labelled set.
    """

    FILE: ClassVar[str] = "train.json"

    seconds: float
    device: str
    iterations: int = 0
    images_per_second: float = 0.0
    parameters: int = 0
    labelled_images: int = 0


def may_pad(training: Training, image_size: Sequence[int] | None) -> bool:
    """Whether a training crop may reach beyond its image.

    Args:
        training: with crop and random scale.
        image_size: height, width of all images; None where each has its own.
    """
    lowest = training.scale[0] if training.scale else 1.0
    if training.crop is None:
        return lowest < 1
    if image_size is None:
        return True
    sides = zip(image_size, training.crop, strict=True)
    return any(round(side * lowest) < wanted for side, wanted in sides)


def training_images(labelled_images: int, training: Training) -> int:
    """Labelled images that a training reads in all: whole batches, at least one."""
    batch = training.batch_size
    return max(1, round(labelled_images * training.epochs / batch)) * batch


def _amount(recipe: Mapping[str, object], scale: Scale) -> Amount:
    params = TrainParams.of(recipe)
    facts = {name: params.training[name] for name in _TIMED if name in params.training}
    if params.devices:
        facts["devices"] = params.devices
    images = training_images(scale.labelled_images, scale.training)
    factor = (SSL_FACTOR if params.s4gan else 1.0) / (params.devices or 1)
    return Amount(images, factor, {"ssl": bool(params.s4gan), **facts})


KIND = Kind("train", 1, "alspec.steps.train:perform", _amount)
