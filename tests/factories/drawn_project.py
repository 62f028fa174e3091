"""A labelling project on drawn images whose true masks are known."""

from __future__ import annotations

import numpy as np
from PIL import Image

from alspec.spec.project import Project

CLASSES = ("ground", "box", "ball")
SIZE = (32, 64)


def drawing(number, size=SIZE):
    """An image (H, W, 3) and its true mask (H, W) of three classes."""
    rng = np.random.default_rng(number)
    height, width = size
    mask = np.zeros(size, np.uint8)
    for class_id in (1, 2):
        top, left = rng.integers(0, height // 2), rng.integers(0, width // 2)
        mask[top : top + height // 3, left : left + width // 3] = class_id
    colours = np.array([[90, 120, 90], [200, 60, 60], [60, 60, 210]], float)
    image = colours[mask] + rng.normal(0, 12, (*size, 3)) + rng.uniform(-25, 25)
    return image.clip(0, 255).astype(np.uint8), mask


class DrawnProject:
    """Files below `root`, and the truth."""

    def __init__(self, root, images=30, labelled=0, **changes):
        self.root = root
        self.truths: dict[str, np.ndarray] = {}
        for number in range(images):
            self.draw(f"seq{number % 3}/{number:03d}.png", number)
        for image in sorted(self.truths)[:labelled]:
            self.label(image)
        self.plain = {
            "project": "drawn",
            "dataset": {
                "name": "drawn",
                "kind": "folder",
                "root": str(root / "data"),
                "images": "frames",
                "masks": "labels",
                "classes": list(CLASSES),
                "image_size": list(SIZE),
                "sequence": "^(.*)/",
            },
            "batch": 6,
            "check": 0.34,
            "model": "deeplabv3plus_tiny",
            "training": {"epochs": 2, "batch_size": 2, "lr": 0.05},
            **changes,
        }

    @property
    def project(self):
        return Project.model_validate(self.plain)

    def draw(self, name, number):
        image, mask = drawing(number)
        path = self.root / "data" / "frames" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
        self.truths[f"frames/{name}"] = mask

    def mask_path(self, image):
        return (self.root / "data" / "labels" / image.removeprefix("frames/")).with_suffix(".png")

    def label(self, image, mask=None):
        path = self.mask_path(image)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(self.truths[image] if mask is None else mask).save(path)

    def labelled(self):
        """Every mask on disk, by image."""
        return {
            image: np.array(Image.open(self.mask_path(image)))
            for image in self.truths
            if self.mask_path(image).is_file()
        }
