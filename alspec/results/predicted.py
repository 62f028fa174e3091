"""Which classes a model predicts at all, of those that the validation set has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class PredictedClasses:
    """A model's predictions over the validation set, by class.

    Attributes:
        present: classes with a pixel in the validation masks.
        predicted: classes that the model predicts in a pixel that counts.
    """

    present: tuple[str, ...]
    predicted: tuple[str, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """Classes of the validation set that are never predicted."""
        return tuple(name for name in self.present if name not in self.predicted)

    @property
    def is_collapsed(self) -> bool:
        """Whether one class is predicted everywhere, though the validation set has several."""
        return len(self.predicted) == 1 and len(self.present) > 1


def predicted_classes(names: Sequence[str], confusion: NDArray[np.int64]) -> PredictedClasses:
    """The classes that are there and those that are predicted.

    Args:
        names: of the classes, C of them.
        confusion: pixel counts, (C, C), rows truth, columns prediction.

    >>> predicted_classes(("a", "b"), np.array([[5, 0], [3, 0]])).missing
    ('b',)
    """
    there, predicted = confusion.sum(axis=1) > 0, confusion.sum(axis=0) > 0
    return PredictedClasses(
        present=tuple(name for name, is_there in zip(names, there, strict=True) if is_there),
        predicted=tuple(name for name, is_there in zip(names, predicted, strict=True) if is_there),
    )
