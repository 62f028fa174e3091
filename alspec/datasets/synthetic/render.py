"""A street seen from a car: one frame as an image and its mask, painted from far to near."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw

from alspec.datasets.base import Image, Mask
from alspec.datasets.cityscapes19 import Colour, Label
from alspec.datasets.synthetic.scene import BEHIND, CELL, SIGHT, Street, Thing, street, things

Point: TypeAlias = tuple[float, float]

_EYE = 1.5
_NEAR = 1.3
_START = BEHIND
_BOXES = frozenset({Label.CAR, Label.TRUCK, Label.BUS, Label.TRAIN})
_WINDOWS = frozenset({Label.BUILDING, Label.BUS, Label.TRAIN})
_GRAIN = np.full(len(Label), 7.0, np.float32)
_GRAIN[[Label.VEGETATION, Label.TERRAIN, Label.FENCE]] = (20.0, 13.0, 16.0)
_GRAIN[[Label.ROAD, Label.SKY]] = (5.0, 1.5)
"""Standard deviation of each class's own texture, in grey levels."""


def view(
    seed: int, split: int, sequence: int, frame: int, size: tuple[int, int]
) -> tuple[Image, Mask]:
    """A frame of a sequence and its labels; a pure function of its arguments.

    Args:
        seed: of the dataset.
        split: 0 for the pool, 1 for validation.
        sequence: number of the sequence in its split.
        frame: number of the frame in its sequence.
        size: height, width in pixels.

    Returns:
        Image (H, W, 3) and mask (H, W) with every pixel labelled.
    """
    scene = street(seed, split, sequence)
    painter = _Painter(scene, frame, size)
    painter.surroundings()
    first, last = (math.floor((painter.place + z) / CELL) for z in (-BEHIND, SIGHT))
    seen = [
        (thing.z - painter.place, thing)
        for cell in range(first, last + 1)
        for thing in things(seed, split, sequence, cell)
    ]
    seen += _traffic(scene, frame)
    for distance, thing in sorted(seen, key=lambda item: -item[0]):
        if distance < SIGHT and distance + thing.length > _NEAR:
            painter.thing(thing, distance)
    rng = np.random.default_rng((*scene.entropy, 2, frame))
    return _lit(scene, np.asarray(painter.image), np.asarray(painter.mask), rng)


def _traffic(scene: Street, frame: int) -> list[tuple[float, Thing]]:
    """What moves, each with its distance ahead of the camera."""
    swing = 3.0 * math.sin(0.06 * frame)
    ahead = [(thing.z + swing, thing) for thing in scene.ahead]
    passed = 1.7 * scene.speed * frame
    oncoming = [
        ((thing.z + BEHIND - passed) % scene.period - BEHIND, thing) for thing in scene.oncoming
    ]
    return ahead + oncoming


def _lit(scene: Street, image: Image, mask: Mask, rng: np.random.Generator) -> tuple[Image, Mask]:
    """Texture, the light of the day, and the camera's noise."""
    grain = rng.standard_normal(mask.shape, np.float32) * (_GRAIN[mask] + np.float32(scene.noise))
    pixels = (image + grain[..., None]) * np.asarray(scene.light, np.float32)
    return np.clip(pixels, 0, 255).astype(np.uint8), mask.copy()


class _Painter:
    """Paints image and mask with the same strokes."""

    def __init__(self, scene: Street, frame: int, size: tuple[int, int]) -> None:
        self.scene = scene
        self.height, self.width = size
        self.place = _START + scene.speed * frame
        strength, period = scene.bend
        self.bend = strength * math.sin(self.place / period)
        self.eye = 0.2 * scene.road
        self.middle = self.width * (0.5 + 0.02 * math.sin(self.place / 17))
        self.horizon = self.height * (scene.horizon + 0.006 * math.sin(self.place * 1.3))
        self.image = PillowImage.new("RGB", (self.width, self.height), scene.paints[Label.SKY])
        self.mask = PillowImage.new("L", (self.width, self.height), int(Label.SKY))
        self._draw = ImageDraw.Draw(self.image)
        self._label = ImageDraw.Draw(self.mask)

    def _at(self, x: float, y: float, z: float) -> Point:
        """Where a point right of the road's middle, above ground, ahead, is seen."""
        along = self.middle + 0.55 * self.width * ((x - self.eye) / z + self.bend * z)
        return along, self.horizon + 1.1 * self.height * (_EYE - y) / z

    def _hazy(self, colour: Colour, distance: float, shade: float = 1.0) -> Colour:
        fade = self.scene.haze * max(0.0, distance) / SIGHT
        sky = self.scene.paints[Label.SKY]
        red, green, blue = (
            int(min(255, own * shade) * (1 - fade) + far * fade)
            for own, far in zip(colour, sky, strict=True)
        )
        return red, green, blue

    def _polygon(self, points: Sequence[Point], label: Label, colour: Colour) -> None:
        self._draw.polygon(points, fill=colour)
        self._label.polygon(points, fill=int(label))

    def _box(
        self, corners: tuple[Point, Point], label: Label, colour: Colour, round_: bool = False
    ) -> None:
        (left, top), (right, bottom) = corners
        # At least one pixel, so that far and thin things are seen in both.
        area = (left, top, max(left, right), max(top, bottom))
        for draw, fill in ((self._draw, colour), (self._label, int(label))):
            (draw.ellipse if round_ else draw.rectangle)(area, fill=fill)

    def _detail(self, corners: tuple[Point, Point], colour: Colour) -> None:
        (left, top), (right, bottom) = corners
        if right - left >= 1 and bottom - top >= 1:
            self._draw.rectangle((left, top, right, bottom), fill=colour)

    def surroundings(self) -> None:
        """Skyline, ground, sidewalks, road and its markings."""
        scene, paints = self.scene, self.scene.paints
        label = Label.BUILDING if scene.density[0] > scene.density[1] else Label.VEGETATION
        far = self._hazy((128, 118, 112) if label is Label.BUILDING else (62, 92, 58), SIGHT)
        step = self.width / 12
        shift = self.middle - self.width / 2
        for place in range(-1, 13):
            rise = self.height * (0.02 + 0.05 * abs(math.sin(place * 12.9 + scene.road * 7)))
            corner = (place * step + shift, self.horizon - rise)
            self._box((corner, (corner[0] + step, self.horizon + 1)), label, far)
        below = [
            (0, self.horizon),
            (self.width, self.horizon),
            (self.width, self.height),
            (0, self.height),
        ]
        self._polygon(below, Label.TERRAIN, paints[Label.TERRAIN])
        edge = scene.road + scene.sidewalk
        self._strip(-edge, edge, Label.SIDEWALK, paints[Label.SIDEWALK])
        self._strip(-scene.road, scene.road, Label.ROAD, paints[Label.ROAD])
        start = -(self.place % 6.0)
        for dash in range(14):
            begin, end = max(_NEAR, start + dash * 6), start + dash * 6 + 3
            if end > begin:
                points = [
                    self._at(x, 0, z)
                    for x, z in ((-0.1, begin), (0.1, begin), (0.1, end), (-0.1, end))
                ]
                self._draw.polygon(points, fill=self._hazy((214, 212, 204), begin))

    def _strip(self, left: float, right: float, label: Label, colour: Colour) -> None:
        depths = (0.6, 2.0, 5.0, 10.0, 20.0, 40.0, SIGHT)
        points = [self._at(left, 0, z) for z in depths]
        points += [self._at(right, 0, z) for z in reversed(depths)]
        self._polygon(points, label, colour)

    def thing(self, thing: Thing, distance: float) -> None:
        """One object whose nearer end is `distance` ahead, in metres."""
        if thing.label in _BOXES:
            self._vehicle(thing, distance)
        elif thing.length:
            self._block(thing, distance)
        elif distance > _NEAR:
            self._flat(thing, distance)

    def _block(self, thing: Thing, distance: float) -> None:
        """The side that one sees, the end that faces the camera, and windows in the side."""
        near, far = max(_NEAR, distance), min(SIGHT, distance + thing.length)
        ends = sorted((thing.x, thing.x + thing.width))
        inner = ends[0] if ends[0] > self.eye else ends[1]
        low, high = thing.base, thing.height
        side = [
            self._at(inner, y, z) for z, y in ((near, low), (near, high), (far, high), (far, low))
        ]
        self._polygon(side, thing.label, self._hazy(thing.colour, distance, 0.82))
        if thing.label in _WINDOWS:
            self._windows(thing, near, far, inner)
        if distance > _NEAR:
            corners = self._at(ends[0], high, near), self._at(ends[1], low, near)
            self._box(corners, thing.label, self._hazy(thing.colour, distance))

    def _windows(self, thing: Thing, near: float, far: float, inner: float) -> None:
        glass = self._hazy((58, 66, 84), near, 0.8 + 0.5 * thing.look)
        for row in range(max(1, min(3, int(thing.height // 3.6)))):
            low, high = 1.2 + 3 * row, 2.6 + 3 * row
            for part in (0.12, 0.56):
                begin, end = near + part * (far - near), near + (part + 0.3) * (far - near)
                corners = ((begin, low), (begin, high), (end, high), (end, low))
                self._draw.polygon([self._at(inner, y, z) for z, y in corners], fill=glass)

    def _vehicle(self, thing: Thing, distance: float) -> None:
        dark = self._hazy((30, 32, 40), distance)
        left, right, height = thing.x, thing.x + thing.width, thing.height
        near, far = max(_NEAR, distance), min(SIGHT, distance + thing.length)
        under = ((left - 0.2, near), (left - 0.2, far), (right + 0.2, far), (right + 0.2, near))
        self._draw.polygon(
            [self._at(x, 0, z) for x, z in under], fill=self._hazy((52, 50, 56), near)
        )
        if thing.label is Label.CAR:
            height *= 0.62
            self._block(replace(thing, height=height, base=0.2), distance)
            cabin = replace(thing, x=left + 0.15, width=thing.width - 0.3, length=2.4, base=height)
            self._block(cabin, distance + 0.5)
        else:
            self._block(replace(thing, base=0.3), distance)
        if distance <= _NEAR:
            return
        pane = (
            self._at(left + 0.3, 0.94 * thing.height, near),
            self._at(right - 0.3, 0.66 * thing.height, near),
        )
        self._detail(pane, dark)
        for x in (left + 0.1, right - 0.4):
            self._box((self._at(x, 0.4, near), self._at(x + 0.3, 0, near)), thing.label, dark)
            self._detail(
                (self._at(x, 0.9 * height, near), self._at(x + 0.3, 0.72 * height, near)),
                (206, 40, 36),
            )

    def _flat(self, thing: Thing, distance: float) -> None:
        colour = self._hazy(thing.colour, distance)

        def area(left: float, top: float, right: float, bottom: float) -> tuple[Point, Point]:
            """A part of the thing, in fractions of its width and of its height from its top."""
            tall = thing.height - thing.base
            return (
                self._at(thing.x + left * thing.width, thing.height - top * tall, distance),
                self._at(thing.x + right * thing.width, thing.height - bottom * tall, distance),
            )

        match thing.label:
            case Label.VEGETATION:
                self._box(area(0.44, 0.5, 0.56, 1), thing.label, self._hazy((74, 58, 44), distance))
                self._box(area(0, 0, 1, 0.62 + 0.36 * thing.look), thing.label, colour, round_=True)
                self._draw.ellipse(
                    sum(area(0.15, 0.05, 0.6, 0.35), ()),
                    fill=self._hazy(thing.colour, distance, 1.2),
                )
            case Label.PERSON | Label.RIDER:
                self._box(
                    area(0.3, 0, 0.7, 0.17),
                    thing.label,
                    self._hazy((206, 160, 132), distance),
                    round_=True,
                )
                self._box(area(0.05, 0.17, 0.95, 0.58), thing.label, colour)
                self._box(area(0.2, 0.58, 0.8, 1), thing.label, self._hazy((48, 46, 66), distance))
            case Label.BICYCLE | Label.MOTORCYCLE:
                self._box(
                    area(0, 0.4, 0.45, 1),
                    thing.label,
                    self._hazy((40, 40, 44), distance),
                    round_=True,
                )
                self._box(
                    area(0.55, 0.4, 1, 1),
                    thing.label,
                    self._hazy((40, 40, 44), distance),
                    round_=True,
                )
                self._box(area(0.15, 0.2, 0.85, 0.65), thing.label, colour)
            case Label.TRAFFIC_LIGHT:
                self._box(area(0, 0, 1, 1), thing.label, colour)
                lamp = int(3 * thing.look)
                shine = ((235, 60, 40), (240, 190, 40), (50, 220, 110))[lamp]
                self._detail(area(0.2, 0.08 + 0.3 * lamp, 0.8, 0.3 + 0.3 * lamp), shine)
            case _:
                self._box(area(0, 0, 1, 1), thing.label, colour)
