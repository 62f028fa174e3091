"""The tree that the spec with people's mistakes is about, and the golden file of what they hear."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

GOLDEN = Path(__file__).parents[1] / "golden" / "spec_mistakes.txt"


def make_tree(root):
    """Twenty images to label and four to measure on."""
    for images, masks, count in (("train", "trainannot", 20), ("val", "valannot", 4)):
        for folder, pixels in ((images, np.full((8, 8, 3), 90)), (masks, np.eye(8))):
            (root / folder).mkdir(parents=True)
            for number in range(count):
                path = root / folder / f"{folder[0]}_{number:02d}.png"
                Image.fromarray(pixels.astype(np.uint8)).save(path)


@dataclass(frozen=True)
class Mistake:
    """A change of the base spec and the whole message."""

    title: str
    old: str
    new: str
    said: str


def mistakes():
    """The cases of the golden file."""
    for block in GOLDEN.read_text().split("\n## ")[1:]:
        title, *lines = block.rstrip("\n").split("\n")
        parts = {sign: [line[2:] for line in lines if line[:1] == sign] for sign in "-+>"}
        yield Mistake(title, *("\n".join(parts[sign]) for sign in "-+>"))
