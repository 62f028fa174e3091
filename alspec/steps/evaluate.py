"""Step `evaluate`: weights to the confusion matrix over the validation images."""

from __future__ import annotations

import time
from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alspec.datasets.base import IGNORE, Dataset, Split
from alspec.errors import StepFailed
from alspec.models.inference.finite import not_finite
from alspec.models.inference.outputs import on_device, outputs_of
from alspec.models.input.batches import in_batches
from alspec.steps.train import load_trained
from alspec.steps.work import StepContext
from alspec.system import failpoints
from alspec.system.atomic import write_array, write_json
from alspec.system.provenance import machine

BATCH = 8
"""Images in a forward pass; too small a number to be worth a parameter."""


@torch.inference_mode()
def perform(context: StepContext) -> None:
    """Write `confusion.npy`, (C, C) int64, truth by prediction, and `evaluate.json`."""
    started = time.perf_counter()
    with context.planned_dataset(Split.VAL) as dataset:
        matrix, images = _measured(context, dataset)
    failpoints.at("evaluate.save", context.folder)
    write_array(context.folder / "confusion.npy", matrix)
    write_json(
        context.folder / "evaluate.json",
        {
            **machine(str(context.device)),
            "classes": list(dataset.classes),
            "images": images,
            "seconds": time.perf_counter() - started,
        },
    )


def _measured(context: StepContext, dataset: Dataset) -> tuple[NDArray[np.int64], int]:
    """The confusion matrix (C, C), truth by prediction, and over how many images."""
    images = [frame.id for frame in dataset.frames(Split.VAL)]
    segmentor = load_trained(context.store, context.step.inputs["train"], context.device)
    classes = len(dataset.classes)
    confusion = torch.zeros(classes * classes, dtype=torch.int64, device=context.device)
    sound: list[Tensor] = []
    size = context.step.params.get("image_size")
    frames = context.worker_context.frames(dataset, (size[0], size[1]) if size else None)
    done = 0
    for ids, batch in in_batches(frames, images, BATCH, with_masks=True):
        outputs = outputs_of(segmentor, batch.images, context.device)
        truths = on_device(batch.labels, context.device)
        confusion += _confusion(outputs.logits_by_image, truths, classes)
        sound.append(outputs.finite_B)
        done += len(ids)
        context.progress(done, len(images))
    if wrong := not_finite(images, torch.cat(sound)):
        what = f"the model's predictions for {wrong[0]} are not finite"
        raise StepFailed(f"{what}. Lower training.lr")
    return confusion.cpu().numpy().reshape(classes, classes), len(images)


def _confusion(logits_by_image: Iterable[Tensor], truth_BHW: Tensor, classes: int) -> Tensor:
    """Pixels of a batch by truth and prediction, (C C,) int64, counted in one go.

    The first of equal logits is predicted.
    """
    ignored = classes * classes
    pairs = []
    for logits_1CHW, truth_HW in zip(logits_by_image, truth_BHW, strict=True):
        predicted = logits_1CHW[0].max(dim=0).indices  # argmax is several times slower on a CPU
        pairs_HW = truth_HW.int() * classes + predicted.int()
        pairs.append(pairs_HW.masked_fill_(truth_HW == IGNORE, ignored).flatten())
    return torch.bincount(torch.cat(pairs), minlength=ignored + 1)[:-1]
