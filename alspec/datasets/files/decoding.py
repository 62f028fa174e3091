"""Image and mask files to arrays, and their sizes changed; every fault names the file."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import UnidentifiedImageError

from alspec.errors import DataError

Labels = NDArray[np.uint8] | NDArray[np.uint16]
"""(H, W), values as in the file."""

FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP")
MASK_FORMATS = ("PNG", "BMP", "TIFF", "GIF", "JPEG")
MAX_PIXELS = 40_000_000
"""Decoding takes up to 10 bytes a pixel, in each thread that reads."""

_ORIENTATION = 0x0112
_COLOUR_MODES = frozenset({"RGB", "RGBA", "L", "LA", "P"})
_HINTS = {"CMYK": "CMYK", "F": "floating-point numbers", "I": "of 32 bits", "I;16": "of 16 bits"}
_DEEP_MODES = frozenset({"I;16", "I;16L", "I;16B", "I", "F"})
_SAMPLES_PER_PIXEL = 277
_LOSSY = (
    "it is a JPEG, whose compression changes values at every edge, so it holds no class ids any "
    "more. Export the masks again, as PNG"
)

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


def _read(
    path: Path,
    decode: Callable[[PillowImage.Image], _Result],
    formats: tuple[str, ...] = FORMATS,
) -> _Result:
    """Open, check and decode a file; whatever Pillow says becomes a DataError with the path."""
    try:
        with _quiet(), PillowImage.open(path, formats=formats) as image:
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
    except Exception as err:
        raise DataError.at(path, _in_words(err, formats)) from err


def plain_jpeg_size(file: IO[bytes]) -> tuple[int, int] | None:
    """Height and width of a JPEG that `read_rgb` takes as it is; None for any other file.

    Its header alone is read.
    """
    try:
        with _quiet(), PillowImage.open(file, formats=("JPEG",)) as image:
            turned = image.getexif().get(_ORIENTATION, 1)
            plain = image.format == "JPEG" and image.mode in ("RGB", "L") and turned in (0, 1)
            small = image.width * image.height <= MAX_PIXELS
            return (image.height, image.width) if plain and small else None
    except Exception:  # noqa: BLE001 - whatever Pillow says, `read_rgb` will put into words
        return None


def size_of(path: Path) -> tuple[int, int]:
    """Height and width of an image file, from its header. Raises DataError naming the file."""
    try:
        with _quiet(), PillowImage.open(path, formats=FORMATS) as image:
            return image.height, image.width
    except Exception as err:
        raise DataError.at(path, _in_words(err, FORMATS)) from err


def _in_words(err: Exception, formats: Sequence[str]) -> str:
    """Why an image cannot be read, and what to do; only for files that are really bad."""
    if isinstance(err, FileNotFoundError):
        return "no such file; it is a link to nothing, or was removed since"
    if isinstance(err, PermissionError):
        return f"it may not be read ({err.strerror}); make it readable for this user (chmod a+r)"
    if isinstance(err, PillowImage.DecompressionBombError):
        limit = f"{MAX_PIXELS // 10**6} million"
        return f"it has more than {limit} pixels; make it smaller, or remove it"
    if isinstance(err, UnidentifiedImageError):
        return f"it is empty or not an image ({', '.join(formats)}); restore or remove it"
    if isinstance(err, MemoryError):
        return "it does not fit into memory; make it smaller"
    if isinstance(err, OSError) and err.errno is not None:
        return f"the system cannot read it ({err.strerror}); look at its disk or its mount"
    return f"it cannot be read, so it is truncated or damaged ({err}); restore or remove it"


def _refuse_several(path: Path, image: PillowImage.Image) -> None:
    """An animation or several pages. A JPEG's further pictures are its camera's previews."""
    if image.format == "MPO":
        return
    try:
        image.seek(1)  # counting them would read every page of thousands
    except EOFError:
        image.seek(0)
    else:
        raise DataError.at(path, "it holds several frames; save the one that is meant alone")


def _refuse_turned(path: Path, image: PillowImage.Image) -> None:
    turned = image.getexif().get(_ORIENTATION, 1)
    if turned not in (0, 1):
        what = (
            f"its EXIF orientation is {turned}: viewers turn it, so mask and image may not lie on "
            "one another. Turn the pixels and remove the tag"
        )
        raise DataError.at(path, what)


def read_rgb(
    path: Path,
    bands: tuple[int, int, int] | None = None,
    value_range: tuple[float, float] | None = None,
) -> NDArray[np.uint8]:
    """An image file as (H, W, 3) RGB; grey and palette images become RGB.

    Args:
        path: the file.
        bands: which of an image's bands are red, green and blue, counted from 1; an alpha channel
            that is the same everywhere is dropped without.
        value_range: the values of a grey image of 16 or 32 bits that become 0 and 255; values
            beyond are cut off.

    Raises:
        DataError: not a readable image, one with more than 8 bits or 3 bands without `range`
            or `bands`, or one that its EXIF data rotate, whose mask would not lie on it.
    """

    def decode(image: PillowImage.Image) -> NDArray[np.uint8]:
        if image.mode in _DEEP_MODES:
            return _scaled(path, image, value_range)
        if value_range is not None:
            what = f"it has 8 bits ({image.mode}), so there is nothing that `range` scales"
            raise DataError.at(path, f"{what}. Keep it apart from the deeper images")
        if bands is not None:
            return _picked(path, image, bands)
        _refuse_fourth(path, image)
        if image.mode not in _COLOUR_MODES:
            what = f"its pixels are {_HINTS.get(image.mode, f'of mode {image.mode}')}"
            raise DataError.at(path, f"{what}; convert it to 8-bit RGB")
        return np.array(image if image.mode == "RGB" else image.convert("RGB"))

    return _read(path, decode)


def _scaled(
    path: Path, image: PillowImage.Image, value_range: tuple[float, float] | None
) -> NDArray[np.uint8]:
    """A deep grey image at 8 bits, three times the same band."""
    values = np.array(image).astype(np.float64)
    if value_range is None:
        what = f"its pixels are {_HINTS.get(image.mode, 'of 16 bits')}"
        seen = f"{values.min():g} to {values.max():g}"
        raise DataError.at(
            path,
            f"{what}, here {seen}. Say which values become black and white, as `range: [0, 4095]`, "
            "or convert it to 8-bit RGB",
        )
    low, high = value_range
    grey = np.clip((values - low) * (255 / (high - low)), 0, 255).round().astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def _picked(path: Path, image: PillowImage.Image, bands: tuple[int, int, int]) -> NDArray[np.uint8]:
    values = _all_bands(path) if _bands_of(image) > len(image.getbands()) else np.array(image)
    there = values.shape[2] if values.ndim == 3 else 1
    if image.mode == "P" or max(bands) > there:
        what = f"it has {there} band{'s' if there > 1 else ''}, and `bands` asks for {max(bands)}"
        raise DataError.at(path, what)
    return np.ascontiguousarray(values[..., [band - 1 for band in bands]])


def _bands_of(image: PillowImage.Image) -> int:
    """How many bands the file has; Pillow drops the fourth of some TIFFs."""
    tags = getattr(image, "tag_v2", {})
    return max(len(image.getbands()), int(tags.get(_SAMPLES_PER_PIXEL, 1)))


def _all_bands(path: Path) -> NDArray[np.uint8]:
    """A TIFF with all its bands, (H, W, B), red first."""
    import cv2

    read = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if read is None or read.ndim != 3 or read.dtype != np.uint8:
        raise DataError.at(path, "its bands cannot be read; save it as 8-bit TIFF of 4 bands")
    order = [2, 1, 0, *range(3, read.shape[2])]
    return np.asarray(read[..., order], np.uint8)


def _refuse_fourth(path: Path, image: PillowImage.Image) -> None:
    """A band besides red, green and blue, or besides grey, that says something."""
    count = _bands_of(image)
    says_something = image.mode == "RGBX" or count > len(image.getbands())
    if not says_something and image.mode in ("RGBA", "LA"):
        low, high = image.getchannel("A").getextrema()
        says_something = low != high
    if says_something:
        what = (
            f"it has {count} bands ({image.mode}), and a model sees 3. Say which, counted from 1, "
            "as `bands: [1, 2, 3]`"
        )
        raise DataError.at(path, what)


def read_labels(path: Path) -> Labels:
    """A mask file as (H, W) uint8, or uint16 from 16-bit grey; palette images give their indices.

    Raises:
        DataError: not a readable single-channel image, a JPEG, or one that its EXIF data rotate.
    """

    def decode(image: PillowImage.Image) -> Labels:
        if image.format in ("JPEG", "MPO"):
            raise DataError.at(path, _LOSSY)
        if image.format == "GIF":
            return _grey_of_gif(path, image)
        if image.mode in ("L", "P", "1"):
            return np.array(image).astype(np.uint8, copy=False)
        if image.mode.startswith("I"):
            values = np.array(image)
            if values.min() >= 0 and values.max() <= np.iinfo(np.uint16).max:
                return values.astype(np.uint16)
        what = (
            f"a mask has one channel with a class id in each pixel, this one is {image.mode}. "
            'Name its colours, as `colours: labelmap.txt` or `colours: {"#804080": road, ...}`, '
            "or turn them into class ids and save it as 8-bit grey PNG"
        )
        raise DataError.at(path, what)

    return _read(path, decode, MASK_FORMATS)


def _grey_of_gif(path: Path, image: PillowImage.Image) -> NDArray[np.uint8]:
    """The grey values of a GIF: who writes one renumbers its palette, so indices mean nothing."""
    shown = np.array(image.convert("RGB"))
    if (shown != shown[..., :1]).any():
        what = (
            "it is a GIF in colours, whose palette is numbered anew in each file. Name them, "
            'as `colours: {"#804080": road, ...}`'
        )
        raise DataError.at(path, what)
    return np.ascontiguousarray(shown[..., 0])


def read_colours(path: Path) -> NDArray[np.uint8]:
    """A coloured mask as (H, W, 3) RGB; a palette gives its colours, alpha is dropped.

    Raises:
        DataError: not a readable 8-bit image, a JPEG, or one that its EXIF data rotate.
    """

    def decode(image: PillowImage.Image) -> NDArray[np.uint8]:
        if image.format in ("JPEG", "MPO"):
            raise DataError.at(path, _LOSSY)
        if image.mode not in _COLOUR_MODES:
            raise DataError.at(path, f"a coloured mask has 8 bits a channel, this is {image.mode}")
        return np.array(image.convert("RGB"))

    return _read(path, decode, MASK_FORMATS)


def pillow_resize(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """An image (H, W, 3) at another size (height, width): bilinear, averaging when it shrinks.

    For thumbnails and duplicates; networks are fed `resizing.resized`, which has other pixels.
    """
    if image.shape[:2] == size:
        return image
    height, width = size
    shape, pixels = (image.shape[1], image.shape[0]), np.ascontiguousarray(image)
    # As `fromarray` does, less a copy.
    whole = PillowImage.frombuffer("RGB", shape, pixels, "raw", "RGB", 0, 1)
    scaled = whole.resize((width, height), PillowImage.Resampling.BILINEAR, reducing_gap=3.0)
    return np.array(scaled)


def pillow_resize_mask(mask: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """A mask (H, W) at another size (height, width): the nearest pixel, so no new value appears."""
    if mask.shape == size:
        return mask
    height, width = size
    scaled = PillowImage.fromarray(mask).resize((width, height), PillowImage.Resampling.NEAREST)
    return np.array(scaled)
