"""The kind `pool`: lists the images that methods choose from, and measures their redundancy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from alspec.plan.kinds.record import JsonArtifact, Kind, StepParams

IMAGES = "pool.csv"
"""Artifact: `id,sequence`, a line an image, in time order."""

CLASS_PIXELS = "class_pixels.npy"
"""Artifact, where the masks had been read: pixels of each class and, last, ignored ones, by image
of `pool.csv`, (N, C + 1)."""


@dataclass(frozen=True)
class PoolParams(StepParams):
    """What decides a pool.

    Attributes:
        dataset: identity of the split.
        redundancy: how the pool is made from it.
        pool: SHA-256 of the ids.
        candidates: the restriction to every n-th image that a method asks for.
    """

    OPTIONAL = frozenset({"candidates"})

    dataset: Mapping[str, object]
    redundancy: Mapping[str, object]
    pool: str
    candidates: Mapping[str, int] | None = None


@dataclass(frozen=True)
class PoolFacts(JsonArtifact):
    """One pool as measured.

    Attributes:
        images: in the pool.
        sequences: videos they come from.
        redundancy: low, high or unsure; None if it was not measured.
        notes: what the reader should know besides.
        distinct_views: images that it takes for each to be a near-copy of one; None if a former
            version measured something else.
        views_per_image: the same, an image, within (0, 1].
        views_at: the same at other thresholds of similarity.
        neighbours: share of images with a near-copy beside them in time.
        anywhere: share of images with a near-copy anywhere.
        across_sequences: share of images with a near-copy in another sequence; None for one.
    """

    FILE: ClassVar[str] = "pool.json"

    images: int
    sequences: int
    redundancy: str | None = None
    notes: Sequence[str] = ()
    distinct_views: int | None = None
    views_per_image: float | None = None
    views_at: Sequence[float] = ()
    neighbours: float | None = None
    anywhere: float | None = None
    across_sequences: float | None = None


KIND = Kind("pool", 1, "alspec.steps.pool:perform")
