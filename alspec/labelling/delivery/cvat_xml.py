"""A delivery in "CVAT for images 1.1"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn
from xml.parsers import expat

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw

from alspec.labelling.delivery.base import (
    Delivered,
    Delivery,
    Expectation,
    Region,
    painted,
    stem_of,
)
from alspec.labelling.delivery.source import Source, any_holding, ending
from alspec.labelling.export.image import reject_tag
from alspec.labelling.rle import Bits, from_runs

_FIRST_TAG = re.compile(rb"<([A-Za-z_][^\s/>]*)")
_FOREIGN = frozenset({"box", "polyline", "points", "ellipse", "cuboid", "skeleton"})
_MOST_POINTS = 100_000

Attributes = Mapping[str, str]


@dataclass
class _Element:
    """An `<image>` with its shapes and tags, in document order."""

    attributes: Attributes
    shapes: list[tuple[str, Attributes]] = field(default_factory=list)


def is_one(source: Source, expected: Expectation) -> bool:
    """Whether a file looks like an export of CVAT; others may lie beside it."""
    return any_holding(source, ".xml", _is_export)


def _is_export(data: bytes) -> bool:
    found = _FIRST_TAG.search(data)
    return found is not None and found[1] == b"annotations"


def read(source: Source, expected: Expectation) -> Delivery:
    """Masks, polygons and the tag of rejected images; the later of (z_order, document) wins."""
    delivery = Delivery()
    for file in ending(source.files, ".xml"):
        try:
            elements = _images(source.files[file]())
        except (ValueError, expat.ExpatError) as err:
            source.refuse(file, f"it cannot be read as XML of CVAT: {err}")
            continue
        for element in elements:
            name = element.attributes.get("name", "")
            try:
                delivered = _delivered(name, element, expected)
                if delivered is not None:
                    delivery.add(delivered)
            except ValueError as err:
                source.refuse(f"{file}: {name or 'an image without a name'}", str(err))
    return delivery


def _images(data: bytes) -> list[_Element]:
    images: list[_Element] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        if tag == "image":
            images.append(_Element(attributes))
        elif tag in ("mask", "polygon", "tag") or tag in _FOREIGN:
            if not images:
                raise ValueError(f"a <{tag}> is outside of an <image>")
            images[-1].shapes.append((tag, attributes))
        elif tag == "track":
            raise ValueError("it is of a video task; export `CVAT for images 1.1`")

    def refuse(*_: object) -> NoReturn:
        raise ValueError("it declares a document type or an entity")

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.ExternalEntityRefHandler = refuse
    parser.Parse(data, True)
    return images


def _delivered(name: str, element: _Element, expected: Expectation) -> Delivered | None:
    """What an element says; None where it says nothing."""
    image = expected.image(name)
    tags = [own["label"] for tag, own in element.shapes if tag == "tag" and "label" in own]
    if reject_tag(expected.classes) in tags:
        return Delivered(stem_of(name), rejected=True)
    size = _number(element.attributes, "height"), _number(element.attributes, "width")
    if size != image.size:
        raise ValueError(f"it is {size[1]}x{size[0]}, the image {image.size[1]}x{image.size[0]}")
    foreign = sorted({tag for tag, _ in element.shapes if tag in _FOREIGN})
    if foreign:
        raise ValueError(f"it has a <{foreign[0]}>; label with masks or polygons")
    shapes = [(tag, own) for tag, own in element.shapes if tag != "tag"]
    if not shapes:
        return None
    shapes.sort(key=lambda shape: _number(shape[1], "z_order", 0))  # stable: document order
    regions = (_region(tag, own, image.size, expected) for tag, own in shapes)
    mask, contested = painted(regions, image.size, expected.unlabelled)
    return Delivered(stem_of(name), mask, contested=contested)


def _region(tag: str, own: Attributes, size: tuple[int, int], expected: Expectation) -> Region:
    class_id = expected.class_id(own.get("label", ""))
    mask = _mask(own, size) if tag == "mask" else _polygon(own, size)
    return Region(class_id, mask)


def _mask(own: Attributes, size: tuple[int, int]) -> Bits:
    left, top = _number(own, "left"), _number(own, "top")
    width, height = _number(own, "width"), _number(own, "height")
    if min(left, top) < 0 or min(width, height) < 1:
        raise ValueError("a mask lies outside of the image")
    if top + height > size[0] or left + width > size[1]:
        raise ValueError("a mask lies outside of the image")
    try:
        lengths = [int(part) for part in own.get("rle", "").split(",")]
    except ValueError:
        raise ValueError("a mask's `rle` is no list of numbers") from None
    if any(abs(length) > height * width for length in lengths):
        raise ValueError("a mask's run lengths do not fill its box")
    whole: Bits = np.zeros(size, bool)
    whole[top : top + height, left : left + width] = from_runs(lengths, height, width)
    return whole


def _polygon(own: Attributes, size: tuple[int, int]) -> Bits:
    try:
        points = [
            (float(x), float(y))
            for x, y in (point.split(",") for point in own.get("points", "").split(";"))
        ]
    except ValueError:
        raise ValueError("a polygon's `points` are no list of numbers") from None
    return polygon_mask(points, size)


def polygon_mask(points: list[tuple[float, float]], size: tuple[int, int]) -> Bits:
    """A polygon as pixels, as Pillow fills it.

    Args:
        points: x, y in pixels.
        size: height, width.

    Raises:
        ValueError: too few or too many points, or one far from the image.
    """
    if not 3 <= len(points) <= _MOST_POINTS:
        raise ValueError(f"a polygon has {len(points)} points")
    far = 10 * max(size)
    if not all(abs(value) <= far for point in points for value in point):  # NaN fails as well
        raise ValueError("a polygon lies outside of the image")
    canvas = PillowImage.new("1", (size[1], size[0]))
    ImageDraw.Draw(canvas).polygon(points, fill=1)
    mask: Bits = np.array(canvas, bool)
    return mask


def _number(attributes: Attributes, name: str, default: int | None = None) -> int:
    text = attributes.get(name)
    if text is None and default is not None:
        return default
    try:
        return int(text or "")
    except ValueError:
        raise ValueError(f"`{name}` is no whole number: {str(text)[:20]}") from None
