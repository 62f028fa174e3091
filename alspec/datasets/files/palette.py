"""Colours for classes, the same in every tool, and masks as palette PNGs."""

from __future__ import annotations

import colorsys
import io
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from alspec.datasets.base import IGNORE, Image, Mask

Colour = tuple[int, int, int]

BLACK: Colour = (0, 0, 0)
"""What nobody has coloured, unless a class has it."""


def colour_of(class_id: int) -> Colour:
    """The colour of a class: PASCAL VOC's colour map, shifted by one so that none is black.

    >>> colour_of(0), colour_of(14)
    ((128, 0, 0), (192, 128, 128))
    """
    number, channels = class_id + 1, [0, 0, 0]
    for bit in range(7, -1, -1):
        for channel in range(3):
            channels[channel] |= (number >> channel & 1) << bit
        number >>= 3
    return channels[0], channels[1], channels[2]


def far_apart(class_id: int) -> Colour:
    """A colour unlike those of the classes before: hues by the golden angle, two brightnesses.

    For pictures to look at; label tools and mask files have `colour_of`.
    """
    saturation, brightness = (0.75, 0.5)[class_id % 2], (0.95, 0.7)[class_id // 2 % 2]
    colour = colorsys.hsv_to_rgb(0.61803 * class_id % 1, saturation, brightness)
    red, green, blue = (int(255 * channel) for channel in colour)
    return red, green, blue


def hex_of(colour: Colour) -> str:
    """`#rrggbb`."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def palette(classes: int) -> list[int]:
    """The 256 colours of a palette image; unused values and `IGNORE` are black."""
    table = [channel for class_id in range(classes) for channel in colour_of(class_id)]
    return table + [0] * (768 - len(table))


def png_of(mask_HW: Mask, classes: int, shown: Sequence[Colour] = ()) -> bytes:
    """A mask as a palette PNG of class ids; `IGNORE` stays 255.

    Args:
        mask_HW: class ids and `IGNORE`.
        classes: how many.
        shown: colours of the classes in place of those of `colour_of`.
    """
    image = PillowImage.fromarray(mask_HW)
    table = [band for colour in shown for band in colour] or palette(classes)
    image.putpalette(table + [0] * (768 - len(table)))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def overlay(image_HW3: Image, mask_HW: Mask, classes: int, opacity: float = 0.5) -> Image:
    """An image with its mask laid over it; ignored pixels are left as they are."""
    table = np.array(palette(classes), np.float32).reshape(256, 3)
    mixed = image_HW3 * (1 - opacity) + table[mask_HW] * opacity
    shown: Image = np.where((mask_HW == IGNORE)[..., None], image_HW3, mixed.round()).astype(
        np.uint8
    )
    return shown


def first_colours(class_ids: Mapping[Colour, int]) -> list[Colour]:
    """The first colour of each class, by id; colours of `IGNORE` are left out."""
    firsts: dict[int, Colour] = {}
    for colour, class_id in class_ids.items():
        firsts.setdefault(class_id, colour)
    return [firsts[class_id] for class_id in sorted(firsts.keys() - {IGNORE})]


def classes_of_colours(
    pixels_HW3: NDArray[np.uint8], classes: Mapping[Colour, int]
) -> tuple[Mask, list[str]]:
    """Class ids of coloured pixels, and the colours of no class, in hexadecimal."""
    packed = pixels_HW3.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    found, places = np.unique(packed, return_inverse=True)
    known = {red << 16 | green << 8 | blue: own for (red, green, blue), own in classes.items()}
    ids = np.array([known.get(int(colour), IGNORE) for colour in found], np.uint8)
    foreign = [f"#{int(colour):06x}" for colour in found if int(colour) not in known]
    mask: Mask = ids[places.reshape(packed.shape)]
    return mask, foreign


def class_rows(classes: Sequence[str], shown: Sequence[Colour] = ()) -> list[tuple[int, str, str]]:
    """Id, name and colour of each class, as `classes.csv` lists them."""
    colours = shown or [colour_of(number) for number in range(len(classes))]
    return [(number, name, hex_of(colours[number])) for number, name in enumerate(classes)]
