"""Predicts masks for image files with a finished training's model, outside of any step."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as PillowImage
from torch import Tensor

from alspec.datasets.base import Image, Mask
from alspec.datasets.files.decoding import read_rgb
from alspec.datasets.files.palette import png_of
from alspec.datasets.files.resizing import resized
from alspec.errors import DataError
from alspec.models.inference.batchnorm_folding import folded
from alspec.models.inference.decoding import shifted_to_threshold
from alspec.models.inference.outputs import BatchOutputs
from alspec.models.inference.row_blocks import Rows
from alspec.models.nets.precision import in_bfloat16
from alspec.plan.kinds.train import ModelFacts
from alspec.steps.train import load_trained
from alspec.store.store import Store
from alspec.system.atomic import write_bytes

TILE = 1024
"""Side of the parts that an image of a size of its own is predicted in, in pixels."""
MARGIN = 128
"""Pixels around a tile that are predicted with it and left out: they lack context."""

Confidence = NDArray[np.uint8]
"""(H, W), the largest probability of each pixel, 0 to 255."""


class Predictor:
    """A trained segmentor at work on single images.

    Args:
        store: holds the training.
        train: its key.
        device: where to compute.
        size: height, width that images are resized to, as in training; None takes them as they
            are, large ones in tiles.
    """

    def __init__(
        self, store: Store, train: str, device: torch.device, size: tuple[int, int] | None
    ) -> None:
        self.segmentor = folded(lambda: load_trained(store, train, torch.device("cpu")))
        self.segmentor.to(device=device, memory_format=torch.channels_last)
        self.device = device
        self.size = size
        precision = ModelFacts.read(store, train).precision
        self.bfloat16 = in_bfloat16(precision, device)

    @torch.inference_mode()
    def __call__(self, image_HW3: Image) -> tuple[Mask, Confidence]:
        """Class ids (H, W) at the image's own size, and how sure the model is of them."""
        height, width = image_HW3.shape[:2]
        mask, sure = np.zeros((height, width), np.uint8), np.zeros((height, width), np.uint8)
        if self.size:
            self._fill(mask, sure, self._rows(resized(image_HW3, self.size), (height, width)))
            return mask, sure
        for outer, inner, own in tiles(height, width):
            tile = image_HW3[outer]
            part, part_sure = np.zeros(tile.shape[:2], np.uint8), np.zeros(tile.shape[:2], np.uint8)
            self._fill(part, part_sure, self._rows(tile, (tile.shape[0], tile.shape[1])))
            mask[inner], sure[inner] = part[own], part_sure[own]
        return mask, sure

    def _rows(self, image_HW3: Image, size: tuple[int, int]) -> Rows:
        pixels = torch.from_numpy(np.ascontiguousarray(image_HW3.transpose(2, 0, 1)))
        given = {"inputs": [pixels.to(self.device)]}
        inputs = self.segmentor.data_preprocessor(given, False)["inputs"]
        inputs = inputs.contiguous(memory_format=torch.channels_last)
        outputs = BatchOutputs(self.segmentor, inputs, bfloat16=self.bfloat16)
        logits = shifted_to_threshold(self.segmentor, outputs.logits_BCHW)
        return Rows(logits, size, self.segmentor.align_corners)

    @staticmethod
    def _fill(mask: Mask, sure: Confidence, rows: Rows) -> None:
        for window in rows.windows():
            found: Tensor = rows[window][0].softmax(dim=0)
            largest = found.max(dim=0)
            mask[window.rows] = largest.indices.cpu().numpy()
            sure[window.rows] = (largest.values * 255).round().byte().cpu().numpy()


Part = tuple[slice, slice]


def tiles(
    height: int, width: int, side: int = TILE, margin: int = MARGIN
) -> Iterator[tuple[Part, Part, Part]]:
    """Parts that cover an image once, each with a margin where the image continues.

    Returns:
        For each part what is predicted, what of the image it is good for, and where that lies in
        what is predicted.
    """
    step = max(1, side - 2 * margin)
    for top in _starts(height, side, step):
        for left in _starts(width, side, step):
            bottom = height if height <= side else min(height, top + step)
            right = width if width <= side else min(width, left + step)
            rows = slice(max(0, top - margin), min(height, bottom + margin))
            columns = slice(max(0, left - margin), min(width, right + margin))
            inner = slice(top, bottom), slice(left, right)
            own = (
                slice(top - rows.start, bottom - rows.start),
                slice(left - columns.start, right - columns.start),
            )
            yield (rows, columns), inner, own


def _starts(length: int, side: int, step: int) -> range:
    return range(1) if length <= side else range(0, length, step)


class PredictionJob(TypedDict):
    """What a predicting process is to do.

    Attributes:
        store: the path of the store.
        train: the key of the training in it.
        device: where to compute.
        size: height and width of the model's images; None takes images as they are.
        bands: as `read_rgb` takes them, in training as here.
        value_range: as `read_rgb` takes it.
        classes: how many.
        images: `image`, `mask` and perhaps `confidence` of each, all paths.
    """

    store: str
    train: str
    device: str
    size: Sequence[int] | None
    bands: Sequence[int] | None
    value_range: Sequence[float] | None
    classes: int
    images: Sequence[Mapping[str, str]]


def predict(job: PredictionJob) -> Iterator[dict[str, str]]:
    """Write the masks of images, each whole or not at all.

    Args:
        job: what to predict, with which model.

    Returns:
        For each image `done`, its path; or `where` and `what` for one that cannot be read.
    """
    size = (job["size"][0], job["size"][1]) if job["size"] else None
    device = torch.device(job["device"])
    predictor = Predictor(Store(Path(job["store"])), job["train"], device, size)
    images = job["images"]
    bands, value_range = job["bands"], job["value_range"]
    read = partial(
        read_rgb,
        bands=(bands[0], bands[1], bands[2]) if bands else None,
        value_range=(value_range[0], value_range[1]) if value_range else None,
    )
    with ThreadPoolExecutor(1) as reader:
        ahead = [reader.submit(read, Path(one["image"])) for one in images[:1]]
        for number, one in enumerate(images):
            current = ahead.pop()
            if number + 1 < len(images):
                ahead.append(reader.submit(read, Path(images[number + 1]["image"])))
            try:
                mask, sure = predictor(current.result())
            except DataError as err:
                yield from ({"where": each.where, "what": each.what} for each in err.problems)
                continue
            if "confidence" in one:
                _write(Path(one["confidence"]), _grey(sure))
            _write(Path(one["mask"]), png_of(mask, job["classes"]))
            yield {"done": one["image"]}


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, data)


def _grey(pixels: Confidence) -> bytes:
    buffer = io.BytesIO()
    PillowImage.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
