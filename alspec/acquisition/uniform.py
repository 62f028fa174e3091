"""Uniform: a labelled set spread evenly in time, the baseline that knows video but no model."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar, TypeAlias

import numpy as np
from pydantic import BaseModel

from alspec.acquisition import base

if TYPE_CHECKING:
    from alspec.datasets.base import ImageId

Place: TypeAlias = "tuple[int, int]"
"""A sequence and a position in it."""


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


def between(positions: Sequence[int], length: int) -> Iterator[tuple[int, int]]:
    """The stretches without a label: first position and length, in time order.

    >>> list(between([3, 4], 10))
    [(0, 3), (5, 5)]
    """
    ends = [-1, *sorted(positions), length]
    for before, after in itertools.pairwise(ends):
        if after - before > 1:
            yield before + 1, after - before - 1


def to_labels(length: int, *, before: bool, after: bool) -> int:
    """Distances to the nearest label, summed over a stretch with labels before or after it.

    Without any, as if there were one: nothing is known of the whole sequence then.

    >>> to_labels(4, before=True, after=True), to_labels(3, before=True, after=False)
    (6, 6)
    """
    if before and after:
        return (length + 1) ** 2 // 4
    return length * (length + 1) // 2


def best_split(length: int, *, before: bool, after: bool) -> tuple[int, int]:
    """Where in a stretch one more label leaves the least distances, and how much they shrink.

    In the middle between two labels; at the end of a sequence, a third of the stretch from it; of
    equally good places the first.
    """

    def left(at: int) -> int:
        return to_labels(at, before=before, after=True) + to_labels(
            length - 1 - at, before=True, after=after
        )

    about = length // 2 if before == after else (2 * length // 3 if before else length // 3)
    at = min(range(max(0, about - 1), min(length, about + 2)), key=lambda at: (left(at), at))
    return at, to_labels(length, before=before, after=after) - left(at)


def next_spread(lengths: Sequence[int], labelled: Sequence[Sequence[int]], n: int) -> list[Place]:
    """The n places that, one after the other, shrink the distances to the nearest label most.

    Each takes the middle of a longest stretch, so after the first set the mean distance stays
    within a fifth of that of a grid of as many, but for stretches of a few frames.

    Args:
        lengths: frames of each sequence.
        labelled: positions of the labels in each.
        n: how many more.

    Returns:
        (sequence, position), in the order of choice; of equal ones the earlier in time first.
    """
    stretches: list[tuple[int, int, int, int, int]] = []

    def offer(sequence: int, start: int, length: int) -> None:
        before, after = start > 0, start + length < lengths[sequence]
        at, gain = best_split(length, before=before, after=after)
        heapq.heappush(stretches, (-gain, sequence, start, length, start + at))

    for sequence, positions in enumerate(labelled):
        for start, length in between(positions, lengths[sequence]):
            offer(sequence, start, length)
    chosen: list[Place] = []
    while len(chosen) < n:
        _, sequence, start, length, position = heapq.heappop(stretches)
        chosen.append((sequence, position))
        if position > start:
            offer(sequence, start, position - start)
        if start + length > position + 1:
            offer(sequence, position + 1, start + length - position - 1)
    return chosen


class Uniform:
    """Spreads the labelled set evenly in time, at every cycle; the same every time.

    The first set, its own, is a grid of each sequence; later ones add to it (nested sets).
    """

    name: ClassVar[str] = "uniform"
    family: ClassVar[base.Family] = base.Family.RANDOM
    needs: ClassVar[frozenset[base.Need]] = frozenset()
    Params: ClassVar[type[BaseModel]] = base.Params
    version: ClassVar[int] = 3
    chooses_first: ClassVar[bool] = True

    def __init__(self, params: base.Params) -> None:
        self.params = params

    def select(
        self, candidates: base.Candidates, n: int, rng: np.random.Generator
    ) -> Sequence[ImageId]:
        """Exactly n ids. Raises ValueError for n > N."""
        if not 0 <= n <= len(candidates.ids):
            raise ValueError(f"cannot choose n={n} images from {len(candidates.ids)} candidates")
        positions = candidates.positions or _places_in_order(candidates.sequences)
        images: dict[str, dict[int, ImageId]] = {}
        labels: dict[str, set[int]] = {}
        for image, sequence, position in zip(
            candidates.ids, candidates.sequences, positions, strict=True
        ):
            images.setdefault(sequence, {})[position] = image
        for sequence, position in zip(
            candidates.labelled_sequences, candidates.labelled_positions, strict=True
        ):
            labels.setdefault(sequence, set()).add(position)
        order = list(images)
        # Images that are neither are no part of the sequence: they can never be labelled.
        times = [sorted({*images[name], *labels.get(name, ())}) for name in order]
        lengths = [len(of) for of in times]
        labelled = [
            [rank for rank, position in enumerate(of) if position in labels.get(name, ())]
            for name, of in zip(order, times, strict=True)
        ]
        chosen = next_spread(lengths, labelled, n) if any(labelled) else _grid(lengths, n)
        return [images[order[sequence]][times[sequence][rank]] for sequence, rank in chosen]


def _grid(lengths: Sequence[int], n: int) -> list[Place]:
    """Places of a grid in each sequence, sequence by sequence in time order.

    One that is alone in its sequence lies at a third: beside one in the middle, a second label
    could not come within a fifth of a grid of two.
    """
    return [
        (sequence, position)
        for sequence, share in enumerate(shares(lengths, n))
        for position in (
            [lengths[sequence] // 3] if share == 1 else evenly_spaced(lengths[sequence], share)
        )
    ]


def _places_in_order(sequences: Sequence[str]) -> list[int]:
    """Positions of candidates that are all there is of their sequences."""
    counts: dict[str, int] = {}
    places = []
    for sequence in sequences:
        places.append(counts.get(sequence, 0))
        counts[sequence] = places[-1] + 1
    return places
