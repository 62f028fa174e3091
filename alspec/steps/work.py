"""What a step is given to work with: its inputs, a folder to write, a device."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import numpy as np
import torch

from alspec.datasets.base import Dataset, Frame, ImageId, Split
from alspec.datasets.files.paired import PairedFiles
from alspec.datasets.files.unchanged import WatchedFiles, watched
from alspec.datasets.open import dataset_kind, open_dataset, pixels_identity
from alspec.errors import StepFailed
from alspec.models.input.image_cache import ImageCache
from alspec.models.input.pixel_source import PixelSource
from alspec.models.ranks import ALONE, Ranks
from alspec.models.training.checkpoint import Checkpoints
from alspec.models.training.hooks import Progress
from alspec.models.training.resume import SECONDS, CheckpointPolicy, to_log
from alspec.plan.kinds.acquire import LABELLED, GivenParams
from alspec.plan.kinds.evaluate import EvaluateParams
from alspec.plan.kinds.pool import IMAGES
from alspec.plan.kinds.train import TrainParams
from alspec.plan.pools import split_identity
from alspec.plan.step import Step, seed_of
from alspec.store.store import Store


@dataclass
class WorkerContext:
    """What a warm worker keeps from step to step: the device and decoded images.

    Attributes:
        device: where to compute.
        images: folder that keeps decoded images for all workers and later runs; None keeps them in
            memory.
        loader_workers: processes that prepare a training's batches; no bit depends on it.
        readers: threads that decode images before they are asked for; no bit depends on it.
        checkpoint_seconds: between two checkpoints of a training.
        checkpoint_iterations: between two checkpoints, in place of the seconds.
        stop: when set, a training writes a checkpoint and raises Interrupted.
        warnings: what the step at work is done in spite of.
        ranks: the processes that do the step at work, this one among them.
    """

    device: torch.device
    images: Path | None = None
    loader_workers: int = 0
    readers: int = 0
    checkpoint_seconds: float = SECONDS
    checkpoint_iterations: int | None = None
    stop: Event = field(default_factory=Event)
    warnings: list[str] = field(default_factory=list)
    ranks: Ranks = ALONE
    _frames: dict[tuple[str, tuple[int, int] | None], PixelSource] = field(default_factory=dict)

    def warn(self, text: str) -> None:
        """Keep a warning, and say it in the log."""
        self.warnings.append(text)
        to_log(text)

    def frames(self, dataset: Dataset, size: tuple[int, int] | None = None) -> PixelSource:
        """The images of a dataset, cached while that dataset is worked on.

        Args:
            dataset: where they are read.
            size: height, width; the dataset's image size if None.
        """
        identity = pixels_identity(dataset.spec)
        self._frames = {key: frames for key, frames in self._frames.items() if key[0] == identity}
        size = size or dataset.spec.image_size
        if source := self._frames.get((identity, size)):
            source.dataset = dataset  # the step's own, which watches its files
        else:
            cache = ImageCache.of(self.images, dataset, size) if self.images and size else None
            self._frames[identity, size] = PixelSource(dataset, size, cache, self.readers)
        return self._frames[identity, size]


@dataclass
class StepContext:
    """One step at work.

    Attributes:
        step: what to do.
        store: where its inputs are read from.
        folder: where its artifacts are written to.
        worker_context: the worker's device and images.
        progress: called with units done and units in all.
    """

    step: Step
    store: Store
    folder: Path
    worker_context: WorkerContext
    progress: Progress

    @property
    def device(self) -> torch.device:
        """Where tensors live."""
        return self.worker_context.device

    @property
    def checkpoint_policy(self) -> CheckpointPolicy:
        """Where and how often this step's training writes checkpoints."""
        worker_context = self.worker_context
        return CheckpointPolicy(
            Checkpoints(self.store.checkpoints(self.step.key), self._training()),
            worker_context.checkpoint_seconds,
            worker_context.checkpoint_iterations,
            worker_context.stop,
            worker_context.warn,
        )

    def _training(self) -> str:
        """SHA-256 of the recipe and of the images that it comes down to here."""
        labelled = self.labelled()
        images = [labelled, self.unlabelled(labelled)]
        text = json.dumps([self.step.key, self.step.recipe, images], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def seed(self, role: str) -> int:
        """The seed of one kind of random number of this step."""
        return seed_of(self.step.seed_key, role)

    def rng(self, role: str) -> np.random.Generator:
        """The generator of one kind of random number of this step."""
        return np.random.default_rng(self.seed(role))

    def dataset(self) -> Dataset:
        """The dataset at the place this machine has it."""
        place = dict(self.step.local_paths["dataset"])
        revisions = place.pop("revisions", {})
        kind = dataset_kind(place["kind"])
        return open_dataset(kind.Spec.model_validate(place).with_revisions(revisions))

    @contextmanager
    def planned_dataset(self, split: Split) -> Iterator[Dataset]:
        """The dataset, as long as the files of a split are what this step's key says.

        They are listed again when the block begins; a file that changes inside the block is an
        error when it is read. A dataset that cannot watch its files is listed again at the end.

        Raises:
            StepFailed: the split is not the planned one; names what changed last.
            DataError: a file changed in the block; names it.
        """
        dataset = self.dataset()
        dataset.frames(split)
        files = watched(dataset, split)
        self._require_planned(dataset, split, files)
        self._require_planned_files(dataset)
        yield dataset
        if files is None:
            self._require_planned(self.dataset(), split, None)

    @property
    def planned_files(self) -> Sequence[Sequence[str]] | None:
        """Id, SHA-256 of image and of mask, where this step or its labelled set names them."""
        if "files" in self.step.params:
            return EvaluateParams.of(self.step.params).files
        labelled = self.step.inputs.get("labelled")
        params = self.store.recipe_of(labelled)["params"] if labelled is not None else {}
        return GivenParams.of(params).files if "files" in params else None

    def _require_planned_files(self, dataset: Dataset) -> None:
        files = self.planned_files
        if files is None or not isinstance(dataset, PairedFiles):
            return
        for image, *planned in files:
            if [digest.hex() for digest in dataset.digests_of(ImageId(image))] != planned:
                raise StepFailed(
                    f"{image}: its file or its mask changed since it was planned. Run again to "
                    "plan with the files as they are now"
                )

    def _require_planned(self, dataset: Dataset, split: Split, files: WatchedFiles | None) -> None:
        params = self.step.params
        if "pool" not in self.step.inputs and self.planned_files is not None:
            return  # what it reads is named file by file
        if "dataset" not in params:  # what reads the pool has its identity from the pool's step
            params = self.store.recipe_of(self.step.inputs["pool"])["params"]
        if split_identity(dataset, split) == params["dataset"]:
            return
        last = files.last_changed() if files else ""
        raise StepFailed(
            f"the files of {dataset.spec.name} changed since the study was planned"
            + (f"; the last change: {last}" if last else "")
            + ". Run again to plan with the files as they are now"
        )

    def pool(self) -> tuple[Frame, ...]:
        """The pool in time order."""
        path = self.store.file(self.step.inputs["pool"], IMAGES)
        with path.open(encoding="utf-8", newline="") as file:
            return tuple(Frame(ImageId(row["id"]), row["sequence"]) for row in csv.DictReader(file))

    def labelled(self) -> tuple[ImageId, ...]:
        """The labelled set in the order of choice; the whole pool for a Full baseline."""
        if "labelled" not in self.step.inputs:
            return tuple(frame.id for frame in self.pool())
        lines = self.store.read_lines(self.step.inputs["labelled"], LABELLED)
        return tuple(ImageId(line) for line in lines)

    def unlabelled(self, labelled: Sequence[ImageId]) -> list[ImageId]:
        """Images that a training may see without a label; none where it reads no pool."""
        if "pool" not in self.step.inputs:
            return []
        apart = {*labelled, *TrainParams.of(self.step.params).excluded}
        return [frame.id for frame in self.pool() if frame.id not in apart]
