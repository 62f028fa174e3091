"""Cityscapes' classes, and the colours in which rendered streets show them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import TypeAlias

Colour: TypeAlias = tuple[int, int, int]


class Label(IntEnum):
    """Cityscapes' classes in the order of its train ids."""

    ROAD = 0
    SIDEWALK = 1
    BUILDING = 2
    WALL = 3
    FENCE = 4
    POLE = 5
    TRAFFIC_LIGHT = 6
    TRAFFIC_SIGN = 7
    VEGETATION = 8
    TERRAIN = 9
    SKY = 10
    PERSON = 11
    RIDER = 12
    CAR = 13
    TRUCK = 14
    BUS = 15
    TRAIN = 16
    MOTORCYCLE = 17
    BICYCLE = 18

    @property
    def words(self) -> str:
        """The class name, as `traffic light`."""
        return self.name.lower().replace("_", " ")


PAINTS: Mapping[Label, tuple[Colour, ...]] = {
    Label.ROAD: ((92, 90, 98), (104, 100, 104), (80, 80, 88)),
    Label.SIDEWALK: ((160, 142, 138), (172, 158, 144)),
    Label.BUILDING: ((172, 128, 96), (142, 86, 70), (190, 168, 130), (128, 112, 108)),
    Label.WALL: ((128, 128, 112), (144, 138, 116)),
    Label.FENCE: ((112, 88, 58), (96, 92, 72)),
    Label.POLE: ((66, 70, 78), (86, 88, 92)),
    Label.TRAFFIC_LIGHT: ((38, 40, 30), (50, 48, 30)),
    Label.TRAFFIC_SIGN: ((36, 74, 178), (206, 52, 46), (232, 200, 44)),
    Label.VEGETATION: ((50, 92, 40), (70, 104, 44), (42, 78, 50)),
    Label.TERRAIN: ((134, 150, 80), (150, 140, 92)),
    Label.SKY: ((150, 190, 232), (178, 196, 214), (206, 210, 214)),
    Label.PERSON: ((150, 46, 92), (98, 52, 120), (186, 70, 100)),
    Label.RIDER: ((224, 122, 42), (212, 160, 54)),
    Label.CAR: ((40, 66, 140), (150, 28, 34), (192, 196, 204), (34, 34, 42), (90, 130, 170)),
    Label.TRUCK: ((224, 220, 206), (196, 120, 40)),
    Label.BUS: ((226, 178, 26), (214, 92, 32)),
    Label.TRAIN: ((28, 104, 92), (20, 84, 116)),
    Label.MOTORCYCLE: ((86, 20, 30), (60, 24, 54)),
    Label.BICYCLE: ((20, 110, 120), (30, 140, 130)),
}
