"""Step `pool`: lists the pool in time order and measures how redundant it is."""

from __future__ import annotations

from alspec.datasets.base import Split
from alspec.datasets.pools.construction import build_pool, candidates
from alspec.datasets.pools.redundancy import measured_redundancy
from alspec.errors import StepFailed
from alspec.plan.kinds.pool import IMAGES, PoolFacts, PoolParams
from alspec.steps.work import StepContext
from alspec.system import failpoints
from alspec.system.atomic import write_csv


def perform(context: StepContext) -> None:
    """Write `pool.csv` (id, sequence) and `pool.json` (size, measured redundancy, notes)."""
    params = PoolParams.of(context.step.params)
    with context.planned_dataset(Split.POOL) as dataset:
        pool = build_pool(dataset.spec.redundancy, dataset.frames(Split.POOL))
        if pool.sha256 != params.pool:
            raise StepFailed(
                f"the list of {dataset.spec.name}'s pool changed since the plan was made; run again"
            )
        kept = pool.frames
        if params.candidates:
            kept = candidates(kept, params.candidates["every"])
        measured = measured_redundancy(dataset, kept, context.progress)
    failpoints.at("pool.save", context.folder)
    rows = [(frame.id, frame.sequence) for frame in kept]
    write_csv(context.folder / IMAGES, ("id", "sequence"), rows)
    facts = PoolFacts(
        images=len(kept),
        sequences=len({frame.sequence for frame in kept}),
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
