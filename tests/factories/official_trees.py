"""Miniatures and the datasets that read them, for the tests of the official trees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alspec import plugins
from alspec.datasets.base import Split
from alspec.datasets.miniature import Drawing, make
from alspec.datasets.open import open_dataset
from alspec.errors import DataError

SMALL = Drawing(images=12, size=(24, 40), seed=3)


def drawn(kind, folder):
    make(kind, folder, SMALL)
    return folder


def opened(kind, root, **changes):
    model = plugins.load("alspec.datasets", kind).Spec
    given = {"name": "mine", "kind": kind, "root": str(root), "image_size": [24, 40], **changes}
    return open_dataset(model.model_validate(given))


def ids(dataset, split=Split.POOL):
    return [frame.id for frame in dataset.frames(split)]


def problems(dataset, split=Split.POOL):
    with pytest.raises(DataError) as caught:
        dataset.frames(split)
    return caught.value.problems


def save(path: Path, values) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(values, np.uint8)).save(path)
    return path
