"""What a plan needs of the disk, in the end and while it runs."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from alspec.datasets.open import pixels_identity
from alspec.plan.cost.priority import step_costs
from alspec.plan.cost.retention import readers, retained_weights
from alspec.plan.cost.schedule import schedule
from alspec.plan.dag import Plan
from alspec.plan.kinds import ACQUIRE, TRAIN
from alspec.plan.kinds.acquire import labelled_images
from alspec.plan.kinds.train import TrainParams
from alspec.plan.step import Step, StepKey
from alspec.spec.model import ModelConfig, Study

WEIGHT_BYTES = {
    "deeplabv3plus_wrn38": 454_562_212,
    "deeplabv3plus_wrn38_dense": 548_588_708,
    "deeplabv3plus_r18": 59_910_428,
    "deeplabv3plus_mnv2": 11_378_612,
    "deeplabv3plus_small": 13_522_620,
    "deeplabv3plus_tiny": 3_299_340,
}
"""Weights and statistics of the built-in models, float32, 19 classes."""

DISCRIMINATOR_BYTES = 11_106_052
"""Weights of s4GAN's discriminator, float32, 19 classes."""

CHECKPOINTS = 3
"""Checkpoints of a training at work: two stay, and a third is written before the oldest goes."""

STEP_BYTES = 24 * 1024
"""Manifest, tables and folder of a finished step, in whole blocks of the disk."""

ID_BYTES = 64
"""A line of a list of images."""


@dataclass(frozen=True, slots=True)
class DiskNeed:
    """Bytes that a run adds to the disk.

    Attributes:
        least: at the fullest moment, without checkpoints and decoded images: a run goes on where
            these cannot be written.
        peak: at the fullest moment, in all.
        end: when all is done; negative where weights go that nobody reads any more.
        known: whether the model's size is known; if not, all are without weights.
    """

    least: int
    peak: int
    end: int
    known: bool


def disk_need(
    plan: Plan, todo: Collection[StepKey], present: Collection[StepKey], slots: int
) -> DiskNeed:
    """What running some steps of a plan adds to the disk, from the order that the run takes.

    Args:
        plan: the study, expanded.
        todo: the steps to run; the others are done.
        present: the trainings whose weights are there.
        slots: steps at work at once, at least 1.
    """
    weights = weight_bytes(plan.study)
    cache = cache_bytes(plan) if todo else 0
    disk = _Disk(plan, weights or 0, set(present), cache)
    disk.unread = {
        key: sum(reader in todo for reader in reading) for key, reading in readers(plan).items()
    }
    for moment in schedule(plan, step_costs(plan), frozenset(todo), slots):
        (disk.ended if moment.ends else disk.started)(moment.step)
    return DiskNeed(disk.least, disk.peak, disk.used + cache, weights is not None)


def disk_bytes(plan: Plan) -> int:
    """Bytes that the finished study takes, in all."""
    return disk_need(plan, plan.steps.keys(), (), 1).end


def weight_bytes(study: Study) -> int | None:
    """Bytes of a trained model; None if that is not known before it is built.

    A config file's model is as large as its checkpoint; without one, as the pretrained weights,
    which lack the head.
    """
    if not isinstance(study.model, ModelConfig):
        return WEIGHT_BYTES[study.model]
    path = study.model.checkpoint or study.pretrained
    try:
        return Path(path).stat().st_size if path else None
    except OSError:
        return None


def cache_bytes(plan: Plan) -> int:
    """Bytes of all images and masks of a study, decoded: three and one a pixel.

    Each pool and each dataset's validation images count once, datasets without an image size not.
    """
    measured_at = plan.study.evaluation.image_size
    settings = {setting.dataset: setting for setting in plan.settings}
    pools: dict[StepKey, int] = {}
    validation: dict[str, int] = {}
    for spec in plan.study.datasets:
        setting, size = settings[spec.name], spec.image_size
        if size:
            pools[setting.pool_step] = setting.pool_images * size[0] * size[1]
        if size := measured_at or size:
            images = setting.validation_images
            validation[pixels_identity(spec)] = images * size[0] * size[1]
    return 4 * (sum(pools.values()) + sum(validation.values()))


def checkpoint_bytes(step: Step, weights: int) -> int:
    """Bytes of a training's checkpoint: the model with momentum, the discriminator with Adam's."""
    params = TrainParams.of(step.params)
    training = params.training
    moments = 2 if "optimizer" in training else bool(training["momentum"])
    discriminator = 3 * DISCRIMINATOR_BYTES if params.s4gan else 0
    return weights * (1 + moments) + discriminator


@dataclass
class _Disk:
    """The disk while the plan runs.

    Attributes:
        weights: bytes of a trained model.
        present: the trainings whose weights are there.
        spare: bytes of checkpoints and decoded images.
        used: bytes of everything else.
        unread: for each training the steps still to read its weights.
    """

    plan: Plan
    weights: int
    present: set[StepKey]
    spare: int
    used: int = 0
    unread: dict[StepKey, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.least, self.peak = 0, self.spare
        self.retained = retained_weights(self.plan)

    def started(self, step: Step) -> None:
        self.spare += self._at_work(step)
        self._add(0)

    def ended(self, step: Step) -> None:
        self.spare -= self._at_work(step)
        lines = labelled_images(step.params) if step.kind is ACQUIRE else 0
        self._add(STEP_BYTES + 2 * lines * ID_BYTES)
        if step.kind is TRAIN and step.key not in self.present:
            self.present.add(step.key)
            self._add(self.weights)
        for key in {step.key, *step.inputs.values()} & self.unread.keys():
            self.unread[key] -= key != step.key
            if key in self.present and not self.unread[key] and key not in self.retained:
                self.present.remove(key)
                self.used -= self.weights

    def _at_work(self, step: Step) -> int:
        training = step.kind is TRAIN
        return CHECKPOINTS * checkpoint_bytes(step, self.weights) if training else 0

    def _add(self, more: int) -> None:
        self.used += more
        self.least = max(self.least, self.used)
        self.peak = max(self.peak, self.used + self.spare)
