"""Uniform: candidates evenly spaced in time, the baseline that knows video but no model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import BaseModel

from alspec.acquisition import base

if TYPE_CHECKING:
    from alspec.datasets.base import ImageId


def shares(lengths: Sequence[int], n: int) -> list[int]:
    """How many of n picks fall to each sequence: largest remainder, proportional to length.

    Args:
        lengths: candidates in each sequence.
        n: picks in all, 0 to the sum of the lengths.

    Returns:
        A share for each sequence, at most its length, n in all; of equal remainders the earlier
        sequence wins.

    Raises:
        ValueError: n is negative or above the number of candidates.

    >>> shares([6, 3, 1], 5)
    [3, 2, 0]
    """
    total = sum(lengths)
    if not 0 <= n <= total:
        raise ValueError(f"cannot choose n={n} images from {total} candidates")
    if n == 0:
        return [0] * len(lengths)
    quotas = [divmod(n * length, total) for length in lengths]
    result = [whole for whole, _ in quotas]
    by_remainder = sorted(range(len(lengths)), key=lambda sequence: -quotas[sequence][1])
    for sequence in by_remainder[: n - sum(result)]:
        result[sequence] += 1
    return result


def evenly_spaced(length: int, n: int) -> list[int]:
    """The middles of n equal stretches of 0..length-1: n different positions, n <= length.

    >>> evenly_spaced(10, 2)
    [2, 7]
    """
    return [(2 * pick + 1) * length // (2 * n) for pick in range(n)]


class Uniform:
    """Chooses evenly spaced candidates of each sequence; the same every time."""

    name: ClassVar[str] = "uniform"
    family: ClassVar[base.Family] = base.Family.RANDOM
    needs: ClassVar[frozenset[base.Need]] = frozenset()
    Params: ClassVar[type[BaseModel]] = base.Params
    version: ClassVar[int] = 1

    def __init__(self, params: base.Params) -> None:
        self.params = params

    def select(
        self, candidates: base.Candidates, n: int, rng: np.random.Generator
    ) -> Sequence[ImageId]:
        """Exactly n ids, sequence by sequence in time order. Raises ValueError for n > N."""
        sequences: dict[str, list[ImageId]] = {}
        for image, sequence in zip(candidates.ids, candidates.sequences, strict=True):
            sequences.setdefault(sequence, []).append(image)
        lengths = [len(images) for images in sequences.values()]
        return [
            images[position]
            for images, share in zip(sequences.values(), shares(lengths, n), strict=True)
            for position in evenly_spaced(len(images), share)
        ]
