"""Writes a mask into the project's own folder, in the values that its spec reads."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image as PillowImage

from alspec.datasets.base import IGNORE, ImageId, Mask
from alspec.datasets.kinds.partly_labelled import PartlyLabelled
from alspec.system.atomic import write_bytes


def write_mask(dataset: PartlyLabelled, image: ImageId, mask_HW: Mask) -> None:
    """Write an image's mask, whole or not at all.

    Args:
        dataset: whose spec says which value stands for which class.
        image: one of its pool.
        mask_HW: class ids and `IGNORE`, of the image's size.
    """
    table = np.arange(256, dtype=np.uint8)
    ignored = getattr(dataset.spec, "ignore", None)
    if isinstance(ignored, int):
        table[IGNORE] = ignored
    path = dataset.mask_file(image)
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    PillowImage.fromarray(table[mask_HW]).save(buffer, "PNG")
    write_bytes(path, buffer.getvalue())
