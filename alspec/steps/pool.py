"""Step `pool`: lists the pool in time order and measures how redundant it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from alspec.datasets.base import Dataset, Frame, Split
from alspec.datasets.image_facts import TreeReader, rows_of
from alspec.datasets.pools.construction import build_pool, candidates
from alspec.datasets.pools.duplicates import original_of
from alspec.datasets.pools.redundancy import measured_redundancy
from alspec.errors import StepFailed
from alspec.plan.kinds.pool import CLASS_PIXELS, IMAGES, PoolFacts, PoolParams
from alspec.steps.work import StepContext
from alspec.system import failpoints
from alspec.system.array_cache import ArrayCache
from alspec.system.atomic import write_array, write_csv


def perform(context: StepContext) -> None:
    """Write `pool.csv` (id, sequence) and `pool.json` (size, measured redundancy, notes).

    Besides `class_pixels.npy`, where the masks were read before: for the report, in no step's key.
    """
    params = PoolParams.of(context.step.params)
    with context.planned_dataset(Split.POOL) as dataset:
        pool = build_pool(dataset.spec.redundancy, dataset.frames(Split.POOL))
        if pool.sha256 != params.pool:
            raise StepFailed(
                f"the list of {dataset.spec.name}'s pool changed since the plan was made; run again"
            )
        frames = pool.frames
        if params.candidates:
            frames = candidates(frames, params.candidates["every"])
        measured = measured_redundancy(dataset, frames, context.progress)
        _write_class_pixels(context, dataset, frames)
    failpoints.at("pool.save", context.folder)
    rows = [(frame.id, frame.sequence) for frame in frames]
    write_csv(context.folder / IMAGES, ("id", "sequence"), rows)
    facts = PoolFacts(
        images=len(frames),
        sequences=len({frame.sequence for frame in frames}),
        distinct_views=measured.distinct_views,
        views_per_image=measured.views_per_image,
        views_at=list(measured.views_at),
        neighbours=measured.neighbours,
        anywhere=measured.anywhere,
        across_sequences=measured.across_sequences,
        redundancy=measured.level,
        notes=list(pool.notes),
    )
    facts.write(context.folder)


def _write_class_pixels(context: StepContext, dataset: Dataset, pool: Sequence[Frame]) -> None:
    """The pixels of each class in each image, as the data check of this run counted them."""
    cache = ArrayCache.of_user(context.store.folders.checked)
    facts = TreeReader(dataset, cache).known(Split.POOL)
    if facts is None:
        return
    originals = [(original_of(frame.id) or (frame.id, 0))[0] for frame in pool]
    rows = rows_of([frame.id for frame in dataset.frames(Split.POOL)], originals)
    write_array(context.folder / CLASS_PIXELS, facts.pixels[rows].astype(np.uint32))
