"""What was found of images that were read, by what their files hold and how a spec reads them."""

from __future__ import annotations

import hashlib
import json
import os

import numpy as np
from numpy.typing import NDArray

from alspec.datasets.base import IGNORE, Dataset
from alspec.datasets.files.inspection import THUMBNAIL, Inspection
from alspec.system.array_cache import ArrayCache

_VERSION = 4
"""Raised when reading the same files finds other facts."""

_KEY_BYTES = 64
_COUNT = IGNORE + 1


class FactsCache:
    """Inspections without a problem, by key; loaded when opened, written by `save`.

    Args:
        cache: where earlier processes saved them.
        dataset: the tree, and how its spec has it read.
    """

    def __init__(self, cache: ArrayCache, dataset: Dataset) -> None:
        parts = [
            _VERSION,
            os.path.realpath(dataset.spec.root or ""),
            dataset.spec.recipe_fields("redundancy", "image_size", *dataset.spec.VALIDATION_ONLY),
            list(dataset.classes),
        ]
        digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
        self._name = f"facts-{digest[:32]}"
        self._arrays = _whole(cache.load(self._name) or {})
        raw = self._arrays["keys"].tobytes() if self._arrays else b""
        split = (raw[at : at + _KEY_BYTES] for at in range(0, len(raw), _KEY_BYTES))
        self._rows = {key.rstrip(b"\0"): row for row, key in enumerate(split)}
        self._new: dict[bytes, Inspection] = {}

    @property
    def is_empty(self) -> bool:
        """Whether nothing is cached."""
        return not self._rows

    def get(self, key: bytes) -> Inspection | None:
        """What was found under a key; None where nothing was."""
        row = self._rows.get(key.rstrip(b"\0"))
        if row is None:
            return None
        height, width = self._arrays["sizes"][row].tolist()
        pixels = self._arrays["pixels"][row].astype(np.int64)
        return Inspection((height, width), pixels, self._arrays["thumbnails"][row], ())

    def put(self, key: bytes, found: Inspection) -> None:
        """Keep what was found under a key."""
        self._new[key] = found

    def save(self, cache: ArrayCache) -> None:
        """Write what is new beside what was there."""
        if not self._new:
            return
        found = list(self._new.values())
        keys = b"".join(key.ljust(_KEY_BYTES, b"\0") for key in self._new)
        arrays: dict[str, NDArray[np.generic]] = {
            "keys": np.frombuffer(keys, np.uint8).reshape(-1, _KEY_BYTES),
            "sizes": np.array([each.size for each in found], np.int32),
            "pixels": np.array([each.pixels for each in found]).astype(np.uint32),
            "thumbnails": np.array([each.thumbnail for each in found], np.uint8),
        }
        if self._arrays:
            arrays = {
                name: np.concatenate([self._arrays[name], array]) for name, array in arrays.items()
            }
        cache.save(self._name, arrays)


def _whole(arrays: dict[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
    """The arrays if all are there in the right shapes; none otherwise."""
    rows = len(arrays.get("keys", ()))
    shapes = {
        "keys": (rows, _KEY_BYTES),
        "sizes": (rows, 2),
        "pixels": (rows, _COUNT),
        "thumbnails": (rows, *THUMBNAIL, 3),
    }
    fits = all(name in arrays and arrays[name].shape == shape for name, shape in shapes.items())
    return arrays if fits and rows else {}
