"""The contact sheet of a batch: its images small and in order, each with its proposal beside it."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

from PIL import Image as PillowImage
from PIL import ImageDraw

from alspec.datasets.base import Image
from alspec.datasets.files.decoding import pillow_resize, pillow_resize_mask, read_rgb
from alspec.datasets.files.palette import colour_of, overlay
from alspec.labelling.export.image import HandedImage
from alspec.labelling.services import Services

_IMAGE = 220
"""Width of an image, in pixels."""
_WIDTH = 1800
_GAP = 8
_LINE = 16
"""Height of a line of text."""

Picture = PillowImage.Image


def contact_sheet(
    images: Sequence[HandedImage], classes: Sequence[str], services: Services
) -> bytes:
    """All images in their order, left to right, and the colours of the classes below, as a PNG.

    Args:
        images: of the batch; an image without a proposal is shown alone.
        classes: their names by id.
        services: hear how far it is.

    Raises:
        DataError: an image cannot be read.
    """
    tiles = []
    for done, image in enumerate(images, start=1):
        tiles.append(_tile(image, len(classes)))
        services.progress("contact sheet", done, len(images))
    parts = [_flowed(tiles)]
    if any(image.proposal is not None for image in images):
        parts.append(_flowed(list(_legend(classes))))
    buffer = io.BytesIO()
    _pasted(parts, _below(parts)).save(buffer, "PNG")
    return buffer.getvalue()


def _tile(image: HandedImage, classes: int) -> Picture:
    height = max(1, round(_IMAGE * image.size[0] / image.size[1]))
    small: Image = pillow_resize(read_rgb(image.file), (height, _IMAGE))
    shown = [small]
    if image.proposal is not None:
        shown.append(overlay(small, pillow_resize_mask(image.proposal, (height, _IMAGE)), classes))
    tile = PillowImage.new("RGB", (_IMAGE * len(shown), height + _LINE), "white")
    for place, pixels in enumerate(shown):
        tile.paste(PillowImage.fromarray(pixels), (place * _IMAGE, _LINE))
    ImageDraw.Draw(tile).text((2, 2), image.name[: 36 * len(shown)], fill="black")
    return tile


def _legend(classes: Sequence[str]) -> Iterator[Picture]:
    """A swatch and a name for each class."""
    for number, name in enumerate(classes):
        entry = PillowImage.new("RGB", (_IMAGE, _LINE), "white")
        pen = ImageDraw.Draw(entry)
        pen.rectangle((2, 3, 22, _LINE - 2), fill=colour_of(number), outline="black")
        pen.text((28, 2), name[:30], fill="black")
        yield entry


def _flowed(tiles: Sequence[Picture]) -> Picture:
    """Pictures in rows that are as wide as fits."""
    places, across, down, row = [], 0, 0, 0
    for tile in tiles:
        if across and across + tile.width > _WIDTH:
            across, down, row = 0, down + row + _GAP, 0
        places.append((across, down))
        across, row = across + tile.width + _GAP, max(row, tile.height)
    return _pasted(tiles, places)


def _below(parts: Sequence[Picture]) -> list[tuple[int, int]]:
    """Places of pictures one below the other."""
    return [(0, sum(part.height + _GAP for part in parts[:row])) for row in range(len(parts))]


def _pasted(tiles: Sequence[Picture], places: Sequence[tuple[int, int]]) -> Picture:
    """Pictures at their places, left and upper, on white."""
    placed = list(zip(tiles, places, strict=True))
    width = max(left + tile.width for tile, (left, _) in placed)
    height = max(upper + tile.height for tile, (_, upper) in placed)
    sheet = PillowImage.new("RGB", (width, height), "white")
    for tile, place in placed:
        sheet.paste(tile, place)
    return sheet
