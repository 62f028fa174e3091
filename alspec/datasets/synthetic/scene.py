"""What is where along a street generated from a seed; distances in metres, no pixels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from alspec.datasets.cityscapes19 import PAINTS, Colour, Label

RARE = (
    (Label.WALL, Label.FENCE),
    (Label.TRAFFIC_LIGHT, Label.RIDER),
    (Label.TRUCK, Label.BUS),
    (Label.MOTORCYCLE, Label.TRAIN),
)
"""Of each pair a sequence has one class, and the next sequence the other; bicycles have riders."""

CELL = 9.0
"""Length of a piece of street that is generated from its own seed."""
SIGHT = 80.0
"""How far one sees."""
BEHIND = 30.0
"""How far behind the camera a thing may begin and still reach into the view."""


@dataclass(frozen=True, slots=True)
class Thing:
    """One object.

    Attributes:
        label: its class.
        x: where it begins, from the middle of the road, right is positive.
        z: where it begins along the street; in the traffic, the distance in frame 0.
        width: across the street; negative where it reaches to the left of `x`.
        length: along the street; 0 for what is flat and faces the camera.
        height: top above ground.
        colour: RGB.
        base: bottom above ground.
        look: 0 to 1, what else differs between two of a kind.
    """

    label: Label
    x: float
    z: float
    width: float
    length: float
    height: float
    colour: Colour
    base: float = 0.0
    look: float = 0.0


@dataclass(frozen=True, slots=True)
class Street:
    """One sequence: the road, the weather, the traffic, and how densely its sides are built.

    Attributes:
        entropy: what seeds the pieces of street.
        rare: the rare classes this street has.
        road: half width of the road.
        sidewalk: width of the sidewalks.
        speed: metres a frame.
        density: chances of a building, and of trees, in each piece of street.
        people: expected persons in each piece of street.
        bend: how strongly the street bends, and how long a bend is.
        horizon: height of the horizon as a fraction of the image, from the top.
        light: factors on red, green and blue.
        haze: how much a thing at the end of sight fades into the sky, 0 to 1.
        noise: of the camera, in grey levels.
        paints: colours of sky, road, sidewalk and terrain.
        ahead: traffic in one's own lane, which keeps its distance.
        oncoming: traffic in the other lane.
        period: length of the other lane's traffic, after which it comes again.
    """

    entropy: tuple[int, ...]
    rare: frozenset[Label]
    road: float
    sidewalk: float
    speed: float
    density: tuple[float, float]
    people: float
    bend: tuple[float, float]
    horizon: float
    light: tuple[float, float, float]
    haze: float
    noise: float
    paints: dict[Label, Colour]
    ahead: tuple[Thing, ...]
    oncoming: tuple[Thing, ...]
    period: float


def _paint(label: Label, rng: np.random.Generator, jitter: int = 14) -> Colour:
    family = PAINTS[label]
    base = family[int(rng.integers(len(family)))]
    red, green, blue = (
        int(v) for v in np.clip(base + rng.integers(-jitter, jitter + 1, 3), 0, 255)
    )
    return red, green, blue


@lru_cache(maxsize=64)
def street(seed: int, split: int, sequence: int) -> Street:
    """The street of a sequence; the same for the same three numbers."""
    turns = np.random.default_rng((seed, split, 0)).integers(2, size=len(RARE)).tolist()
    rare = {pair[(sequence + turn) % 2] for pair, turn in zip(RARE, turns, strict=True)}
    if Label.RIDER in rare:
        rare.add(Label.BICYCLE)
    entropy = (seed, split, 1 + sequence)
    rng = np.random.default_rng(entropy)
    brightness, warmth = rng.uniform(0.6, 1.12), rng.uniform(-0.07, 0.07)
    ground = (Label.SKY, Label.ROAD, Label.SIDEWALK, Label.TERRAIN)
    road = float(rng.uniform(4.6, 6.4))
    lanes = _traffic(frozenset(rare), road, rng)
    last = max((thing.z + thing.length for thing in lanes[1]), default=0.0)
    return Street(
        entropy=entropy,
        rare=frozenset(rare),
        road=road,
        sidewalk=float(rng.uniform(1.6, 3.6)),
        speed=float(rng.uniform(0.25, 0.6)),
        density=(float(rng.uniform(0.15, 0.75)), float(rng.uniform(0.3, 0.9))),
        people=float(rng.uniform(0.2, 1.2)),
        bend=(float(rng.uniform(0.0, 0.006)), float(rng.uniform(40, 90))),
        horizon=float(rng.uniform(0.38, 0.48)),
        light=(brightness * (1 + warmth), brightness, brightness * (1 - warmth)),
        haze=float(rng.uniform(0.1, 0.7)),
        noise=float(rng.uniform(2.0, 6.0)),
        paints={label: _paint(label, rng) for label in ground},
        ahead=lanes[0],
        oncoming=lanes[1],
        period=max(last, SIGHT) + BEHIND,
    )


def _traffic(
    rare: frozenset[Label], road: float, rng: np.random.Generator
) -> tuple[tuple[Thing, ...], tuple[Thing, ...]]:
    """The vehicles in one's own lane and in the other, rare ones in front so that they are seen."""
    sizes = {
        Label.CAR: (1.8, 4.2, 1.5),
        Label.TRUCK: (2.4, 8.0, 3.4),
        Label.BUS: (2.5, 11.0, 3.1),
        Label.TRAIN: (2.6, 28.0, 3.5),
    }
    queue = [label for label in sizes if label in rare]
    queue = [queue[place] for place in rng.permutation(len(queue))]
    queue += [Label.CAR] * int(rng.integers(3, 6))
    lanes: tuple[list[Thing], list[Thing]] = ([], [])
    ends = [float(rng.uniform(7, 16)), float(rng.uniform(2, 12))]
    first = int(rng.integers(2))
    for place, label in enumerate(queue):
        lane = (first + place) % 2
        width, length, height = sizes[label]
        x = (0.42, -0.42)[lane] * road - width / 2
        paint = _paint(label, rng)
        lanes[lane].append(Thing(label, x, ends[lane], width, length, height, paint))
        ends[lane] += length + float(rng.uniform(5, 18))
    lanes[0].extend(_cyclists(rare, road, rng))
    return tuple(lanes[0]), tuple(lanes[1])


def _cyclists(rare: frozenset[Label], road: float, rng: np.random.Generator) -> list[Thing]:
    """Those who ride a little ahead of the camera."""
    found: list[Thing] = []
    if Label.RIDER in rare:
        x, z = 0.6 * road, float(rng.uniform(6, 11))
        found.append(Thing(Label.BICYCLE, x, z, 0.9, 0, 1.0, _paint(Label.BICYCLE, rng)))
        paint = _paint(Label.RIDER, rng)
        found.append(Thing(Label.RIDER, x + 0.2, z - 0.02, 0.5, 0, 1.75, paint, base=0.7))
    if Label.MOTORCYCLE in rare:
        z = float(rng.uniform(5, 8))
        paint = _paint(Label.MOTORCYCLE, rng)
        found.append(Thing(Label.MOTORCYCLE, 0.1 * road, z, 1.1, 0, 1.1, paint))
    return found


@lru_cache(maxsize=4096)
def things(seed: int, split: int, sequence: int, cell: int) -> tuple[Thing, ...]:
    """What is in the piece of street that begins at `cell * CELL` metres."""
    scene = street(seed, split, sequence)
    rng = np.random.default_rng((*scene.entropy, 1, cell))
    found: list[Thing] = []
    for side in (-1.0, 1.0):
        found += _lot(scene, side, cell * CELL, rng)
        found += _kerb(scene, side, cell * CELL, rng)
    return tuple(found)


def _lot(scene: Street, side: float, start: float, rng: np.random.Generator) -> list[Thing]:
    """Beyond the sidewalk: a building, or trees behind a wall or a fence."""
    edge = scene.road + scene.sidewalk
    found: list[Thing] = []
    open_lot = side > 0 and round(start / CELL) % 3 == 0
    if rng.random() < scene.density[0] and not open_lot:
        x = side * (edge + rng.uniform(0.2, 2.5))
        height, length = float(rng.uniform(5, 15)), float(rng.uniform(0.8, 1.0) * CELL)
        paint = _paint(Label.BUILDING, rng)
        found.append(
            Thing(
                Label.BUILDING, x, start, side * 12, length, height, paint, look=float(rng.random())
            )
        )
        return found
    for _ in range(int(rng.integers(1, 4)) if rng.random() < scene.density[1] else 0):
        x, z = side * (edge + rng.uniform(2.0, 9.0)), start + rng.uniform(0, CELL)
        height, width = float(rng.uniform(3, 8)), float(rng.uniform(2, 4.5))
        paint = _paint(Label.VEGETATION, rng)
        found.append(
            Thing(Label.VEGETATION, x, z, width, 0, height, paint, look=float(rng.random()))
        )
    borders = sorted(scene.rare & {Label.WALL, Label.FENCE})
    if borders and rng.random() < 0.9:
        label = borders[int(rng.integers(len(borders)))]
        height = float(rng.uniform(1.8, 2.8))
        x = side * (edge + 0.2)
        found.append(Thing(label, x, start, side * 0.3, CELL, height, _paint(label, rng)))
    return found


def _kerb(scene: Street, side: float, start: float, rng: np.random.Generator) -> list[Thing]:
    """On the sidewalk and beside it: poles and what they carry, trees, people, vehicles."""
    found: list[Thing] = []

    def put(
        label: Label, x: float, z: float, box: tuple[float, float, float], base: float = 0.0
    ) -> None:
        width, length, height = box
        paint, look = _paint(label, rng), float(rng.random())
        found.append(Thing(label, x, z, width, length, height, paint, base, look))

    if rng.random() < 0.6:
        x, z = side * (scene.road + 0.4), start + float(rng.uniform(0, CELL))
        put(Label.POLE, x, z, (0.18, 0, 5.5))
        carried = rng.random()
        if Label.TRAFFIC_LIGHT in scene.rare and carried < 0.7:
            put(Label.TRAFFIC_LIGHT, x - 0.16, z - 0.05, (0.5, 0, 4.0), base=2.7)
        elif carried < 0.85:
            put(Label.TRAFFIC_SIGN, x - 0.3, z - 0.05, (0.8, 0, 3.2), base=2.3)
    if rng.random() < 0.3 * scene.density[1]:
        put(Label.VEGETATION, side * (scene.road + 1.2) - 1.0, start + 4.0, (2.2, 0, 4.5))
    for _ in range(int(rng.poisson(scene.people))):
        x = side * (scene.road + float(rng.uniform(0.3, scene.sidewalk)))
        put(
            Label.PERSON,
            x,
            start + float(rng.uniform(0, CELL)),
            (0.55, 0, float(rng.uniform(1.5, 1.9))),
        )
    x, z = side * (scene.road - 0.9), start + float(rng.uniform(0, 3))
    vehicle = rng.random()
    if vehicle < 0.25:
        put(Label.CAR, x - 0.9, z, (1.8, 4.2, 1.5))
    elif vehicle < 0.52 and Label.RIDER in scene.rare:
        put(Label.BICYCLE, x, z, (0.9, 0, 1.0))
        put(Label.RIDER, x + 0.2, z - 0.02, (0.5, 0, 1.75), base=0.7)
    elif vehicle < 0.72 and Label.MOTORCYCLE in scene.rare:
        put(Label.MOTORCYCLE, x, z, (1.1, 0, 1.1))
    return found
