"""A tiny dataset of the kind `folder` on disk, with its spec."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (32, 48)


def scene(number: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """An image (H, W, 3) and its labels (H, W) of three classes."""
    rng = np.random.default_rng((seed, number))
    mask = np.zeros(SIZE, np.uint8)
    for label in (1, 2):
        top, left = int(rng.integers(0, 20)), int(rng.integers(0, 30))
        mask[top : top + 12, left : left + 18] = label
    colours = np.random.default_rng(7).integers(20, 235, (3, 3))
    noise = rng.integers(-20, 20, (*SIZE, 3))
    return (colours[mask] + noise).astype(np.uint8), mask


def save_pair(root: Path, images: str, masks: str, number: int, seed: int = 0) -> None:
    """Write image and mask of a scene; files of one size, whatever the scene."""
    image, mask = scene(number, seed)
    for folder, pixels in ((images, image), (masks, mask)):
        (root / folder).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(root / folder / f"a_{number:03d}.bmp")


def folder_tree(root: Path, pool: int = 8, val: int = 3) -> dict:
    """Write the dataset; the plain data of its spec."""
    for number in range(pool):
        save_pair(root, "images", "masks", number)
    for number in range(val):
        save_pair(root, "val/images", "val/masks", number, seed=1)
    return {
        "name": "d", "kind": "folder", "root": str(root), "images": "images", "masks": "masks",
        "val": {"images": "val/images", "masks": "val/masks"},
        "classes": ["ground", "x", "y"], "image_size": list(SIZE),
    }  # fmt: skip
