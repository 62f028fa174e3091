"""Small artifacts that a report shows: first picks, predictions beside truth, features in 2-D.

They follow from what a step has at hand anyway, and are in no step's key: a store without them is
whole. Thumbnails are re-encoded, so they carry no EXIF.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from torch import Tensor

from alspec.datasets.base import IGNORE, ImageId
from alspec.datasets.files.palette import far_apart
from alspec.errors import DataError
from alspec.models.input.pixel_source import PixelSource
from alspec.system.atomic import write_bytes, write_csv

PICKS = "picks.jpg"
EXAMPLES = "examples.jpg"
EMBEDDING = "embedding.csv"

SHOWN = 6
"""Validation images whose predictions are shown."""

FIRST = 8
"""Picks on a contact sheet, in the order of choice, four a row."""

COLUMNS = 4
WIDTH = 128
"""Pixels of a thumbnail; its height follows from the image's shape."""

MOST_POINTS = 4000
"""Images of an embedding; of a larger pool evenly spaced ones, and all that were chosen."""


def shown_of(images: Sequence[ImageId]) -> tuple[ImageId, ...]:
    """The validation images whose predictions are shown: evenly spaced ones, up to `SHOWN`."""
    rows = np.linspace(0, len(images) - 1, min(SHOWN, len(images))).round().astype(int)
    return tuple(images[row] for row in dict.fromkeys(rows.tolist()))


def noting(
    logits_by_image: Iterable[Tensor],
    ids: Sequence[ImageId],
    wanted: Sequence[ImageId],
    noted: dict[ImageId, NDArray[np.uint8]],
) -> Iterator[Tensor]:
    """Pass (1, C, H, W) logits on; note the predicted classes of the images that are wanted."""
    for image, logits_1CHW in zip(ids, logits_by_image, strict=True):
        if image in wanted:
            classes_HW = logits_1CHW[0].max(dim=0).indices
            noted[image] = classes_HW.cpu().numpy().astype(np.uint8)
        yield logits_1CHW


def write_examples(
    folder: Path, frames: PixelSource, predicted: dict[ImageId, NDArray[np.uint8]]
) -> None:
    """Write `examples.jpg`: a row an image: its pixels, its mask, its prediction."""
    rows = [
        (_thumbnail(frames.image(image)), _painted(frames.mask(image)), _painted(classes))
        for image, classes in predicted.items()
    ]
    if rows:
        write_bytes(folder / EXAMPLES, _sheet(rows))


def write_picks(folder: Path, frames: PixelSource, selected: Sequence[ImageId]) -> None:
    """Write `picks.jpg`, the first picks; nothing where an image cannot be read.

    The training that follows reads the same images, and says what is wrong with them.
    """
    with suppress(DataError):
        thumbnails = [_thumbnail(frames.image(image)) for image in selected[:FIRST]]
        rows = [thumbnails[k : k + COLUMNS] for k in range(0, len(thumbnails), COLUMNS)]
        if rows:
            write_bytes(folder / PICKS, _sheet(rows))


def write_embedding(
    folder: Path, images: Sequence[ImageId], features_ND: Tensor, chosen: Sequence[ImageId]
) -> None:
    """Write `embedding.csv`: id, x and y, the features' first two principal components.

    Args:
        folder: of the step.
        images: N ids, candidates first, then the labelled set.
        features_ND: their features.
        chosen: what was chosen of them, always among the points.
    """
    step = max(1, -(-len(images) // MOST_POINTS))
    always = set(chosen)
    rows = [row for row, image in enumerate(images) if row % step == 0 or image in always]
    points = principal_components(features_ND[rows].double().cpu().numpy())
    cells = [
        (images[row], f"{x:.4g}", f"{y:.4g}") for row, (x, y) in zip(rows, points, strict=True)
    ]
    write_csv(folder / EMBEDDING, ("id", "x", "y"), cells)


def principal_components(features_ND: NDArray[np.float64]) -> NDArray[np.float64]:
    """The first two principal components of N features, (N, 2), each by its own sign rule.

    By subspace iteration from a fixed start: the same numbers each time, and quick for any D.
    """
    centred = features_ND - features_ND.mean(axis=0)
    scale = float(np.abs(centred).max()) if centred.size else 0.0
    if scale == 0 or min(centred.shape) < 2:
        return np.zeros((len(centred), 2))
    centred = centred / scale
    basis = np.random.default_rng(0).standard_normal((centred.shape[1], min(6, *centred.shape)))
    for _ in range(12):
        basis, _ = np.linalg.qr(centred.T @ (centred @ basis))
    _, _, turned = np.linalg.svd(centred @ basis, full_matrices=False)
    axes = basis @ turned[:2].T
    axes *= np.sign(axes[np.abs(axes).argmax(axis=0), range(2)])
    return np.asarray(scale * (centred @ axes))


def _thumbnail(pixels_HW3: NDArray[np.uint8]) -> PillowImage.Image:
    image = PillowImage.fromarray(np.asarray(pixels_HW3))
    return image.resize(_size(pixels_HW3), PillowImage.Resampling.BOX)


def _painted(classes_HW: NDArray[np.uint8]) -> PillowImage.Image:
    """Class ids as colours; black where nothing counts."""
    image = PillowImage.fromarray(_palette()[classes_HW])
    return image.resize(_size(classes_HW), PillowImage.Resampling.NEAREST)


def _size(pixels: NDArray[np.uint8]) -> tuple[int, int]:
    height, width = pixels.shape[:2]
    return WIDTH, max(1, round(WIDTH * height / width))


def _palette() -> NDArray[np.uint8]:
    """256 colours; black where nothing counts."""
    palette = np.array([far_apart(k) for k in range(256)], np.uint8)
    palette[IGNORE] = 0
    return palette


def _sheet(rows: Sequence[Sequence[PillowImage.Image]], gap: int = 4) -> bytes:
    """Images side by side on white, a row below the other, as a JPEG."""
    heights = [max(image.height for image in row) for row in rows]
    width = max(len(row) for row in rows) * (WIDTH + gap) - gap
    sheet = PillowImage.new("RGB", (width, sum(heights) + gap * (len(rows) - 1)), "white")
    top = 0
    for row, height in zip(rows, heights, strict=True):
        for column, image in enumerate(row):
            sheet.paste(image, (column * (WIDTH + gap), top))
        top += height + gap
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=85, subsampling=0)
    return buffer.getvalue()
