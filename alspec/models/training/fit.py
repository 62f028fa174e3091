"""Trains a segmentor on a labelled set, with s4GAN or without."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import nn
from torch.utils.data import DataLoader

from alspec.datasets.base import ImageId
from alspec.models.input.batches import (
    Augmentation,
    Batches,
    FromPosition,
    Order,
    PixelSource,
    Share,
)
from alspec.models.input.loader import Feed, Inputs, mean_colour
from alspec.models.input.shared_memory import affordable_workers
from alspec.models.nets.build import parameter_count
from alspec.models.nets.precision import in_bfloat16
from alspec.models.ranks import ALONE, Ranks
from alspec.models.training.compile import compiling
from alspec.models.training.hooks import Progress, QuietRuntimeInfo, TrainingLog
from alspec.models.training.optimizers import BFloat16OptimWrapper, Recipe, Schedule, poly
from alspec.models.training.parallel import Parallel
from alspec.models.training.repeatable import repeat_exactly
from alspec.models.training.resume import CheckpointPolicy, PositionedLoop, Resume, to_log
from alspec.models.training.runner import StepRunner
from alspec.models.training.s4gan import Discriminator, S4GANSegmentor
from alspec.spec.model import S4GAN, Training
from alspec.system.scratch import scratch_folder

if TYPE_CHECKING:
    from mmseg.models import EncoderDecoder


@dataclass(frozen=True)
class Seeds:
    """Where each kind of random number of a training comes from."""

    init: int
    order: int
    unlabelled: int
    dropout: int
    discriminator: int


@dataclass(frozen=True)
class Trained:
    """A trained segmentor and how the training went.

    Attributes:
        segmentor: in eval mode.
        epochs: means of losses and scores over each epoch, with its number under `epoch`.
        iterations: optimizer steps taken.
        seconds: wall time of the loop.
        parameters: trainable numbers of the segmentor.
    """

    segmentor: EncoderDecoder
    epochs: Sequence[Mapping[str, float]]
    iterations: int
    seconds: float
    parameters: int


def iterations_of(images: int, training: Training) -> int:
    """Optimizer steps that make `training.epochs` epochs over a labelled set, at least one."""
    return max(1, round(images * training.epochs / training.batch_size))


def fit(
    build: Callable[[], EncoderDecoder],
    frames: PixelSource,
    labelled: Sequence[ImageId],
    unlabelled: Sequence[ImageId],
    recipe: Recipe | Training,
    s4gan: S4GAN | None,
    seeds: Seeds,
    device: torch.device,
    progress: Progress,
    policy: CheckpointPolicy | None = None,
    loader_workers: int = 0,
    ranks: Ranks = ALONE,
) -> Trained:
    """Train from initial or pretrained weights on the labelled images.

    Args:
        build: makes the segmentor; called once, after seeding.
        frames: where images and masks come from.
        labelled: the labelled set, at least one image.
        unlabelled: what s4GAN adds without labels; the labelled set where the pool has no others.
        recipe: how long, how fast, on what crops; a `Training` alone is with the paper's SGD.
        s4gan: weights of the semi-supervised losses; None trains on labels alone.
        seeds: where the random numbers come from; torch's global generator is seeded from them.
        device: where to train.
        progress: called after every iteration.
        policy: where checkpoints are written and resumed from, to the same bits.
        loader_workers: processes that prepare batches; the bits do not depend on it.
        ranks: processes that call this at once, a device each, and share every batch.

    Raises:
        StepFailed: a loss is no longer finite, or torch.compile cannot compile the network.
        Interrupted: it was asked to stop, and stopped after checkpointing.
    """
    recipe = recipe if isinstance(recipe, Recipe) else Recipe(recipe)
    training = recipe.training
    torch.manual_seed(seeds.init)
    segmentor = build()
    iterations = iterations_of(len(labelled), training)
    augmentation = Augmentation.of(training, mean_colour(segmentor.data_preprocessor))
    others = unlabelled if s4gan else None
    feed = _feed(frames, labelled, others, augmentation, training, seeds, ranks)
    learner = _Learner.of(segmentor, recipe, s4gan, seeds, device, iterations, ranks)
    learner.move_to(device)
    log = TrainingLog(len(labelled) / training.batch_size, training.epochs, progress)
    resume, start = _resumed(policy, learner.model, log, device, ranks)
    learner.model = Parallel(learner.model, ranks) if ranks.count > 1 else learner.model
    loader_workers = affordable_workers(feed, loader_workers, policy.warn if policy else to_log)
    loader = feed.loader(FromPosition(start, iterations), device, loader_workers)
    with (
        scratch_folder() as scratch,
        _reading(frames, feed, loader, start),
        compiling(segmentor, wanted=training.compile),
    ):
        hooks = [QuietRuntimeInfo(), log, *([resume] if resume else [])]
        runner = learner.runner(loader, iterations, hooks, scratch)
        torch.manual_seed(seeds.dropout + ranks.rank)
        seconds = _seconds_of(runner) + (resume.seconds_before if resume else 0.0)
    return Trained(segmentor.eval(), log.epochs, iterations, seconds, parameter_count(segmentor))


def _resumed(
    policy: CheckpointPolicy | None,
    model: nn.Module,
    log: TrainingLog,
    device: torch.device,
    ranks: Ranks,
) -> tuple[Resume | None, int]:
    """The hook that restores the newest checkpoint and writes others, and iterations done."""
    if policy is None:
        return None, 0
    state = policy.state_for(model, device, ranks)
    return Resume(policy, state, log, ranks), state.position if state else 0


def _reading(
    frames: PixelSource, feed: Feed, loader: DataLoader[Inputs], start: int
) -> AbstractContextManager[None]:
    """Has images of the first epoch decoded ahead, unless processes of a loader decode.

    They do so on their own, and may have to take `frames` along.
    """
    return nullcontext() if loader.num_workers else frames.ahead(feed.first_epoch(start))


def _seconds_of(runner: StepRunner) -> float:
    """Train to the end; the wall time."""
    started = time.perf_counter()
    try:
        runner.train()
    finally:
        runner.close()
    return time.perf_counter() - started


def _feed(
    frames: PixelSource,
    labelled: Sequence[ImageId],
    unlabelled: Sequence[ImageId] | None,
    augmentation: Augmentation,
    training: Training,
    seeds: Seeds,
    ranks: Ranks,
) -> Feed:
    """This rank's share of batches of labelled images, and of unlabelled ones unless None."""
    share = Share(ranks.rank, ranks.count)
    order = Order(tuple(labelled), training.batch_size, seeds.order)
    feed = Feed(Batches(frames, order, augmentation, labelled=True, share=share))
    if unlabelled is not None:
        other = Order(tuple(unlabelled or labelled), training.batch_size, seeds.unlabelled)
        feed.unlabelled = Batches(frames, other, augmentation, labelled=False, share=share)
    return feed


@dataclass
class _Learner:
    """What is trained, and what trains it, as MMEngine's runner takes them."""

    model: nn.Module
    optimizer: OptimWrapper | OptimWrapperDict
    schedule: list[Schedule] | dict[str, list[Schedule]]

    @classmethod
    def of(
        cls,
        segmentor: EncoderDecoder,
        recipe: Recipe,
        s4gan: S4GAN | None,
        seeds: Seeds,
        device: torch.device,
        iterations: int,
        ranks: Ranks = ALONE,
    ) -> _Learner:
        """The segmentor with its optimizer; with s4GAN beside a discriminator with its own."""
        training = recipe.training
        bfloat16 = in_bfloat16(training.precision, device)
        optimizer = recipe.optimizer(segmentor, device, bfloat16=bfloat16)
        schedule = recipe.schedules_of(optimizer, iterations)
        if s4gan is None:
            return cls(segmentor, optimizer, schedule)
        torch.manual_seed(seeds.discriminator)
        discriminator = Discriminator(segmentor.num_classes)
        model = S4GANSegmentor(
            segmentor, discriminator, s4gan, joint=not training.compile, ranks=ranks
        )
        adam = torch.optim.Adam(
            discriminator.parameters(), lr=s4gan.discriminator_lr, betas=(0.9, 0.99), fused=True
        )
        wrapped = (BFloat16OptimWrapper if bfloat16 else OptimWrapper)(adam)
        optimizers = OptimWrapperDict(segmentor=optimizer, discriminator=wrapped)
        schedules = {
            "segmentor": schedule,
            "discriminator": [poly(wrapped, training, iterations)],
        }
        return cls(model, optimizers, schedules)

    def move_to(self, device: torch.device) -> None:
        """Lay the model out on the device, where it repeats its bits."""
        self.model.to(device)
        if device.type == "cuda":
            self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            repeat_exactly(self.model)

    def runner(
        self, loader: DataLoader[Inputs], iterations: int, hooks: Sequence[Hook], scratch: Path
    ) -> StepRunner:
        """MMEngine's runner, which writes and prints nothing of its own."""
        return StepRunner(
            work_dir=scratch,
            name="alspec-training",
            model=self.model,
            train_dataloader=loader,
            train_cfg={
                "type": PositionedLoop,
                "max_iters": iterations,
                "val_interval": iterations + 1,
            },
            optim_wrapper=self.optimizer,
            param_scheduler=self.schedule,
            default_hooks={
                "runtime_info": None,
                "timer": None,
                "logger": None,
                "checkpoint": None,
                "sampler_seed": None,
            },
            custom_hooks=list(hooks),
        )
