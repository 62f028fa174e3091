"""Step `evaluate`: weights to the confusion matrix over the validation images."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alspec.datasets.base import IGNORE, Dataset, ImageId, Split
from alspec.errors import StepFailed
from alspec.models.inference.finite import not_finite
from alspec.models.inference.outputs import on_device, outputs_of
from alspec.models.input.batches import in_batches
from alspec.plan.kinds.evaluate import (
    CONFUSION,
    CONFUSIONS,
    IMAGES,
    EvaluateFacts,
    EvaluateParams,
)
from alspec.steps.illustrations import noting, shown_of, write_examples
from alspec.steps.train import load_trained
from alspec.steps.work import StepContext
from alspec.system import failpoints
from alspec.system.atomic import write_array, write_text
from alspec.system.provenance import machine

BATCH = 8
"""Images in a forward pass; too small a number to be worth a parameter."""


@torch.inference_mode()
def perform(context: StepContext) -> None:
    """Write `confusion.npy`, (C, C) int64, truth by prediction, `evaluate.json`, `examples.jpg`.

    Of a labelling project also `confusions.npy`, (N, C, C), image by image as in `images.txt`.
    """
    started = time.perf_counter()
    params = EvaluateParams.of(context.step.params)
    named, by_image = params.files, params.by_image
    with context.planned_dataset(Split.VAL if named is None else Split.POOL) as dataset:
        images = [frame.id for frame in dataset.frames(Split.VAL)]
        if named is not None:
            images = [ImageId(image) for image, *_ in named]
        shown = () if by_image else shown_of(images)
        matrices = _measured(context, dataset, images, by_image=by_image, shown=shown)
    failpoints.at("evaluate.save", context.folder)
    write_array(context.folder / CONFUSION, matrices.sum(axis=0))
    if by_image:
        write_array(context.folder / CONFUSIONS, matrices)
        write_text(context.folder / IMAGES, "".join(f"{image}\n" for image in images))
    facts = EvaluateFacts(list(dataset.classes), len(images), time.perf_counter() - started)
    facts.write(context.folder, **machine(str(context.device)))


def _measured(
    context: StepContext,
    dataset: Dataset,
    images: Sequence[ImageId],
    *,
    by_image: bool,
    shown: Sequence[ImageId],
) -> NDArray[np.int64]:
    """Confusion matrices (N, C, C), truth by prediction, of images or else of batches of them.

    Writes the predictions of the images that are shown.
    """
    segmentor = load_trained(context.store, context.step.inputs["train"], context.device)
    classes = len(dataset.classes)
    confusions: list[Tensor] = []
    sound: list[Tensor] = []
    predicted: dict[ImageId, NDArray[np.uint8]] = {}
    size = EvaluateParams.of(context.step.params).image_size
    frames = context.worker_context.frames(dataset, (size[0], size[1]) if size else None)
    done = 0
    for ids, batch in in_batches(frames, images, BATCH, with_masks=True):
        outputs = outputs_of(segmentor, batch.images, context.device)
        truths = on_device(batch.labels, context.device)
        logits = noting(outputs.logits_by_image, ids, shown, predicted)
        counted = confusions_of(logits, truths, classes)
        confusions.append(counted if by_image else counted.sum(dim=0, keepdim=True))
        sound.append(outputs.finite_B)
        done += len(ids)
        context.progress(done, len(images))
    if wrong := not_finite(images, torch.cat(sound)):
        what = f"the model's predictions for {wrong[0]} are not finite"
        raise StepFailed(f"{what}. Lower training.lr")
    write_examples(context.folder, frames, predicted)
    return torch.cat(confusions).cpu().numpy().reshape(-1, classes, classes)


def confusions_of(logits_by_image: Iterable[Tensor], truth_BHW: Tensor, classes: int) -> Tensor:
    """Pixels of each image of a batch by truth and prediction, (B, C C) int64, counted in one go.

    The first of equal logits is predicted.
    """
    ignored = classes * classes
    pairs = []
    for image, (logits_1CHW, truth_HW) in enumerate(zip(logits_by_image, truth_BHW, strict=True)):
        predicted = logits_1CHW[0].max(dim=0).indices  # argmax is several times slower on a CPU
        pairs_HW = truth_HW.int() * classes + predicted.int()
        pairs_HW.masked_fill_(truth_HW == IGNORE, ignored).add_(image * (ignored + 1))
        pairs.append(pairs_HW.flatten())
    counted = torch.bincount(torch.cat(pairs), minlength=len(pairs) * (ignored + 1))
    return counted.view(len(pairs), ignored + 1)[:, :-1]
