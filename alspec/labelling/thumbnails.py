"""Features of images without any model: centred thumbnails, or the user's own vectors."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alspec.datasets.base import ImageId
from alspec.datasets.files.decoding import pillow_resize
from alspec.datasets.kinds.partly_labelled import PartlyLabelled
from alspec.errors import InputError
from alspec.system.atomic import write_bytes

SIDE = 16
"""Of a thumbnail, in pixels."""

_READERS = 4
_PIXELS = SIDE * SIDE * 3

Features = NDArray[np.float32]
"""(N, D), a row an image."""


def thumbnail_features(
    dataset: PartlyLabelled,
    images: Sequence[ImageId],
    cache: Path,
    progress: Callable[[int, int], None],
) -> Features:
    """Thumbnails of 16 x 16 pixels, the brightness of each and the mean of all taken away.

    Args:
        dataset: where the images are read.
        images: all of the pool: the mean is theirs.
        cache: a file that keeps thumbnails from call to call.
        progress: called with images read and in all.

    Raises:
        DataError: an image cannot be read.
    """
    pixels = _read(dataset, images, cache, progress).astype(np.float32)
    colours = pixels.reshape(len(images), -1, 3)
    colours -= colours.mean(axis=1, keepdims=True)
    features: Features = colours.reshape(len(images), -1)
    features -= features.mean(axis=0)
    return features


def _read(
    dataset: PartlyLabelled,
    images: Sequence[ImageId],
    cache: Path,
    progress: Callable[[int, int], None],
) -> NDArray[np.uint8]:
    known = _cached(cache)
    sizes = {image: dataset.files_of(image)[0].bytes for image in images}
    pixels = np.zeros((len(images), _PIXELS), np.uint8)
    missing = []
    for row, image in enumerate(images):
        thumbnail = known.get((image, sizes[image]))
        if thumbnail is None:
            missing.append(row)
        else:
            pixels[row] = thumbnail

    def read(row: int) -> tuple[int, NDArray[np.uint8]]:
        return row, pillow_resize(dataset.read_image(images[row]), (SIDE, SIDE)).reshape(-1)

    with ThreadPoolExecutor(_READERS, thread_name_prefix="thumbnails") as readers:
        for done, (row, thumbnail) in enumerate(readers.map(read, missing), start=1):
            pixels[row] = thumbnail
            progress(done, len(missing))
    if missing:
        _write(cache, images, [sizes[image] for image in images], pixels)
    return pixels


def _cached(cache: Path) -> dict[tuple[str, int], NDArray[np.uint8]]:
    try:
        with np.load(cache, allow_pickle=False) as file:
            ids, sizes, pixels = file["ids"], file["bytes"], file["pixels"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return {}
    if pixels.shape != (len(ids), _PIXELS) or len(sizes) != len(ids):
        return {}
    keys = zip(ids.tolist(), sizes.tolist(), strict=True)
    return dict(zip(keys, pixels, strict=True))


def _write(
    cache: Path, images: Sequence[ImageId], sizes: Sequence[int], pixels: NDArray[np.uint8]
) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, ids=np.array(images, str), bytes=np.array(sizes, np.int64), pixels=pixels)
    cache.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(cache, buffer.getvalue())


def own_features(path: Path, images: Sequence[ImageId]) -> Features:
    """The user's vectors, a row an image.

    Raises:
        InputError: the file is no npz with `ids` and `vectors`, names an id twice, or lacks an
            image.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            ids, vectors = [str(one) for one in file["ids"]], np.asarray(file["vectors"], float)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as err:
        what = f"is no npz file with `ids` and `vectors` ({err}). Correct `features`"
        raise InputError.at(path, what) from err
    if vectors.ndim != 2 or len(vectors) != len(ids) or not np.isfinite(vectors).all():
        what = f"`vectors` must be finite, a row for each of {len(ids)} ids, got {vectors.shape}"
        raise InputError.at(path, what)
    row = {image: number for number, image in enumerate(ids)}
    if len(row) < len(ids):
        twice = next(image for number, image in enumerate(ids) if row[image] != number)
        what = (
            f"{len(ids) - len(row)} of {len(ids)} ids are there before, the first {twice}. Give "
            "each image one vector"
        )
        raise InputError.at(path, what)
    missing = [image for image in images if image not in row]
    if missing:
        what = f"has no vector for {len(missing)} of {len(images)} images, the first {missing[0]}"
        raise InputError.at(path, f"{what}. Its ids are paths below the dataset's root")
    features: Features = vectors[[row[image] for image in images]].astype(np.float32)
    return features
