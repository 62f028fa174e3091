"""Image and mask files to arrays, and their sizes changed; every fault names the file."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import UnidentifiedImageError

from alspec.errors import DataError

Labels = NDArray[np.uint8] | NDArray[np.uint16]
"""(H, W), values as they stand in the file."""

FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP")
MAX_PIXELS = 100_000_000

_ORIENTATION = 0x0112
_COLOUR_MODES = frozenset({"RGB", "RGBA", "L", "LA", "P"})
_HINTS = {"CMYK": "CMYK", "F": "floating-point numbers", "I": "of 32 bits", "I;16": "of 16 bits"}

_Result = TypeVar("_Result")


class _QuietPillow:
    """Keeps Pillow's warnings in while any thread reads; filters are global, so it counts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readers = 0
        self._filters = warnings.catch_warnings()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        with self._lock:
            self._readers += 1
            if self._readers == 1:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.")
        try:
            yield
        finally:
            with self._lock:
                self._readers -= 1
                if self._readers == 0:
                    self._filters.__exit__(None, None, None)


_quiet = _QuietPillow()


def _read(path: Path, decode: Callable[[PillowImage.Image], _Result]) -> _Result:
    """Open, check and decode a file; whatever Pillow says becomes a DataError with the path."""
    try:
        with _quiet(), PillowImage.open(path, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise PillowImage.DecompressionBombError
            if (
                ";16" in str([tile[3] for tile in getattr(image, "tile", ())])
                and image.mode == "RGB"
            ):
                raise DataError.at(path, "it has 16 bits a channel; convert it to 8-bit RGB")
            _refuse_several(path, image)
            image.load()
            _refuse_turned(path, image)
            return decode(image)
    except DataError:
        raise
    except FileNotFoundError as err:
        raise DataError.at(
            path, "no such file; it is a link to nothing, or was removed since"
        ) from err
    except PillowImage.DecompressionBombError as err:
        limit = f"{MAX_PIXELS // 10**6} million"
        what = f"it has more than {limit} pixels; make it smaller, or remove it"
        raise DataError.at(path, what) from err
    except UnidentifiedImageError as err:
        kinds = ", ".join(FORMATS)
        what = f"it is empty or not an image ({kinds}); restore or remove it"
        raise DataError.at(path, what) from err
    except MemoryError as err:
        raise DataError.at(path, "it does not fit into memory; make it smaller") from err
    except Exception as err:
        what = f"it cannot be read, so it is truncated or damaged ({err}); restore or remove it"
        raise DataError.at(path, what) from err


def _refuse_several(path: Path, image: PillowImage.Image) -> None:
    """An animation or several pages. A JPEG's further pictures are its camera's previews."""
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":
        raise DataError.at(path, f"it holds {frames} frames; save the one that is meant alone")


def _refuse_turned(path: Path, image: PillowImage.Image) -> None:
    turned = image.getexif().get(_ORIENTATION, 1)
    if turned not in (0, 1):
        what = (
            f"its EXIF orientation is {turned}: viewers turn it, so mask and image may not lie on "
            "one another. Turn the pixels and remove the tag"
        )
        raise DataError.at(path, what)


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """An image file as (H, W, 3) RGB; grey and palette images become RGB, alpha is dropped.

    Raises:
        DataError: not a readable 8-bit image, or one that its EXIF data rotate, whose mask would
            not lie on it.
    """

    def decode(image: PillowImage.Image) -> NDArray[np.uint8]:
        if image.mode not in _COLOUR_MODES:
            what = f"its pixels are {_HINTS.get(image.mode, f'of mode {image.mode}')}"
            raise DataError.at(path, f"{what}; convert it to 8-bit RGB")
        return np.array(image if image.mode == "RGB" else image.convert("RGB"))

    return _read(path, decode)


def read_labels(path: Path) -> Labels:
    """A mask file as (H, W) uint8, or uint16 from 16-bit grey; palette images give their indices.

    Raises:
        DataError: not a readable single-channel image, or one that its EXIF data rotate.
    """

    def decode(image: PillowImage.Image) -> Labels:
        if image.mode in ("L", "P", "1"):
            return np.array(image).astype(np.uint8, copy=False)
        if image.mode.startswith("I"):
            values = np.array(image)
            if values.min() >= 0 and values.max() <= np.iinfo(np.uint16).max:
                return values.astype(np.uint16)
        what = (
            f"a mask has one channel with a class id in each pixel, this one is {image.mode}. "
            "Turn its colours into class ids and save it as 8-bit grey PNG"
        )
        raise DataError.at(path, what)

    return _read(path, decode)


def resize(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """An image (H, W, 3) at another size (height, width): bilinear, averaging when it shrinks."""
    if image.shape[:2] == size:
        return image
    height, width = size
    scaled = PillowImage.fromarray(image).resize(
        (width, height), PillowImage.Resampling.BILINEAR, reducing_gap=3.0
    )
    return np.array(scaled)


def resize_mask(mask: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """A mask (H, W) at another size (height, width): the nearest pixel, so no new value appears."""
    if mask.shape == size:
        return mask
    height, width = size
    scaled = PillowImage.fromarray(mask).resize((width, height), PillowImage.Resampling.NEAREST)
    return np.array(scaled)
