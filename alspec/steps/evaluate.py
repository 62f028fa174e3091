"""Step `evaluate`: weights to the confusion matrix over the validation images."""

from __future__ import annotations

import time

import torch
from torch import Tensor

from alspec import faults
from alspec.datasets.base import IGNORE, Split
from alspec.errors import StepFailed
from alspec.files import write_array, write_json
from alspec.models.data import in_batches
from alspec.models.outputs import on_device, outputs_of
from alspec.provenance import machine
from alspec.steps.train import load_trained
from alspec.steps.work import Work

BATCH = 8
"""Images in a forward pass; too small a number to be worth a parameter."""


@torch.inference_mode()
def perform(work: Work) -> None:
    """Write `confusion.npy`, (C, C) int64, truth by prediction, and `evaluate.json`."""
    started = time.perf_counter()
    dataset = work.dataset()
    images = [frame.id for frame in dataset.frames(Split.VAL)]
    segmentor = load_trained(work.store, work.step.inputs["train"], work.device)
    classes = len(dataset.classes)
    confusion = torch.zeros(classes * classes, dtype=torch.int64, device=work.device)
    size = work.step.params.get("image_size")
    frames = work.desk.frames(dataset, (size[0], size[1]) if size else None)
    done = 0
    for ids, batch in in_batches(frames, images, BATCH, with_masks=True):
        outputs = outputs_of(segmentor, batch.images, work.device)
        if not outputs.finite_B.all():
            wrong = ids[int(outputs.finite_B.long().argmin())]
            raise StepFailed(
                f"the model's predictions for {wrong} are not finite. Lower training.lr"
            )
        for logits, truth in zip(
            outputs.logits_by_image, on_device(batch.labels, work.device), strict=True
        ):
            confusion += _confusion(logits, truth)
        done += len(ids)
        work.progress(done, len(images))
    faults.at("evaluate.save", work.folder)
    matrix = confusion.cpu().numpy().reshape(classes, classes)
    write_array(work.folder / "confusion.npy", matrix)
    write_json(
        work.folder / "evaluate.json",
        {
            **machine(str(work.device)),
            "classes": list(dataset.classes),
            "images": len(images),
            "seconds": time.perf_counter() - started,
        },
    )


def _confusion(logits_1CHW: Tensor, truth_HW: Tensor) -> Tensor:
    """Pixels by truth and prediction, (C C,) int64; the first of equal logits is predicted."""
    classes = logits_1CHW.shape[1]
    predicted = logits_1CHW[0].max(dim=0).indices  # argmax is several times slower on a CPU
    valid = truth_HW != IGNORE
    pairs = truth_HW[valid].long() * classes + predicted[valid]
    return torch.bincount(pairs, minlength=classes * classes)
