"""MMSegmentation's PhotoMetricDistortion with its defaults, for whole batches on any device.

B = images, H, W = pixels. Numbers are cut to whole ones where OpenCV's 8-bit conversions do so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np
import torch
from torch import Tensor

BRIGHTNESS = 32
CONTRAST = SATURATION = (0.5, 1.5)
HUE = 18
"""In steps of two degrees."""

_SHIFT = 12
"""OpenCV divides by tables of whole numbers, scaled by two to this power."""


@dataclass(frozen=True, slots=True)
class ColourDraw:
    """How the colours of one image change; the defaults change nothing.

    Attributes:
        brightness: added to all channels.
        contrast_first: factor on all channels, before the hue.
        saturates: whether the saturation changes.
        saturation: factor on it.
        turns: whether the hue changes.
        hue: turn in steps of two degrees.
        contrast_last: factor on all channels, after the hue.
    """

    brightness: float = 0.0
    contrast_first: float = 1.0
    saturates: bool = False
    saturation: float = 1.0
    turns: bool = False
    hue: int = 0
    contrast_last: float = 1.0

    @classmethod
    def sample(cls, rng: np.random.Generator) -> ColourDraw:
        """A change as MMSegmentation draws it, each part with a probability of one half."""
        brightness = rng.uniform(-BRIGHTNESS, BRIGHTNESS) if rng.integers(2) else 0.0
        early = rng.integers(2) == 1
        first = rng.uniform(*CONTRAST) if early and rng.integers(2) else 1.0
        saturates = bool(rng.integers(2))
        saturation = rng.uniform(*SATURATION) if saturates else 1.0
        turns = bool(rng.integers(2))
        hue = int(rng.integers(-HUE, HUE)) if turns else 0
        last = rng.uniform(*CONTRAST) if not early and rng.integers(2) else 1.0
        return cls(brightness, first, saturates, saturation, turns, hue, last)


def as_tensor(draws: Sequence[ColourDraw]) -> Tensor:
    """The draws of a batch, (B, 7) float32, as `recoloured` takes them."""
    return torch.tensor([astuple(draw) for draw in draws], dtype=torch.float32)


def recoloured(images: Tensor, draws: Tensor) -> Tensor:
    """Images with changed colours, (B, 3, H, W) uint8, new memory.

    Args:
        images: (B, 3, H, W) uint8 RGB.
        draws: (B, 7), on the device of the images.
    """
    columns = [column[:, None, None] for column in draws.unbind(dim=1)]
    brightness, first, saturates, saturation, turns, hue, last = columns
    pixels = _linear(images, 1.0, brightness[:, None])
    pixels = _linear(pixels, first[:, None], 0.0)
    h, s, v = _to_hsv(pixels)
    saturated = _to_rgb(h, _linear(s.to(torch.uint8), saturation, 0.0).int(), v)
    pixels = torch.where(saturates[:, None] > 0, saturated, pixels)
    h, s, v = _to_hsv(pixels)
    turned = _to_rgb((h + hue.int()) % 180, s, v)
    pixels = torch.where(turns[:, None] > 0, turned, pixels)
    return _linear(pixels, last[:, None], 0.0)


def _linear(pixels: Tensor, factor: Tensor | float, offset: Tensor | float) -> Tensor:
    """As MMSegmentation rounds: towards zero."""
    return (pixels.float() * factor + offset).clamp(0, 255).to(torch.uint8)


def _to_hsv(pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hue 0..179, saturation and value 0..255, (B, H, W) int32 each; OpenCV's whole numbers."""
    red, green, blue = pixels.int().unbind(dim=1)
    value = torch.maximum(torch.maximum(red, green), blue)
    spread = value - torch.minimum(torch.minimum(red, green), blue)
    by_value, by_spread = _tables(pixels.device)
    half = 1 << (_SHIFT - 1)
    saturation = (spread * by_value[value.long()] + half) >> _SHIFT
    sector = torch.where(
        value == red,
        green - blue,
        torch.where(value == green, blue - red + 2 * spread, red - green + 4 * spread),
    )
    hue = (sector * by_spread[spread.long()] + half) >> _SHIFT
    return torch.where(hue < 0, hue + 180, hue), saturation, value


def _tables(device: torch.device) -> tuple[Tensor, Tensor]:
    """What OpenCV multiplies with in place of dividing by a value and by a spread."""
    whole = torch.arange(256, dtype=torch.float64, device=device).clamp(min=1)
    there = torch.arange(256, device=device) > 0
    by_value = (255 * (1 << _SHIFT) / whole).round() * there
    by_spread = (180 * (1 << _SHIFT) / (6 * whole)).round() * there
    return by_value.int(), by_spread.int()


def _to_rgb(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """(B, 3, H, W) uint8 of hue, saturation and value, (B, H, W) each."""
    turn, s, v = hue * (6 / 180), saturation * (1 / 255), value * (1 / 255)
    sector = turn.floor()
    part = turn - sector
    channels = []
    for offset in (5, 3, 1):
        place = (sector + offset) % 6
        full = ((place == 1) | (place == 2)).float()
        share = torch.where(place == 0, part, torch.where(place == 3, 1 - part, full))
        channels.append(v * (1 - s * share) * 255)
    return torch.stack(channels, dim=1).clamp(0, 255).to(torch.uint8)
