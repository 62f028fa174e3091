"""Plans the next batch of a project: its size, its check images, the steps that choose the rest."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from alspec.datasets.base import ImageId
from alspec.labelling.advice import Choice, choose_method
from alspec.labelling.services import Services
from alspec.labelling.state import State, read_state
from alspec.labelling.trainings import plan_training
from alspec.plan.dag import Plan
from alspec.plan.kinds.pool import PoolFacts
from alspec.plan.project import ProjectPlan, plan_pool
from alspec.spec.project import Project
from alspec.store.project_folder import ProjectFolder

FEWEST_CHECKED = 10
"""Check images of a batch, when it is large enough for half of it."""


def check_size(project: Project, n: int) -> int:
    """Check images of a batch of n: the project's share, at least 10 where that is half at most."""
    if project.check_share == 0:
        return 0
    return min(max(round(project.check_share * n), FEWEST_CHECKED), n // 2)


def draw_check(project: Project, state: State, number: int, count: int) -> list[ImageId]:
    """The check images of a batch, sampled uniformly from all that can be asked for."""
    ids = sorted(frame.id for frame in state.candidates)
    rng = rng_of(project, number, "check")
    return [ids[row] for row in rng.permutation(len(ids))[:count]]


def rng_of(project: Project, number: int, role: str) -> np.random.Generator:
    """Random numbers of a batch for one purpose: the project, its seed and the batch decide."""
    digest = hashlib.sha256(f"{project.project}/{number}/{role}".encode()).digest()
    return np.random.default_rng((project.seed, int.from_bytes(digest[:8], "big")))


def plan_batch(
    project: Project,
    folder: ProjectFolder,
    state: State,
    choice: Choice,
    n: int,
    check: Sequence[ImageId],
    *,
    trust_config: bool,
) -> ProjectPlan:
    """The plan of a batch of n images that is chosen by a model."""
    open_ids = {frame.id for frame in state.candidates} - set(check)
    trained = set(state.train_ids)
    excluded = [f.id for f in state.frames if f.id not in open_ids and f.id not in trained]
    return plan_training(
        project,
        folder,
        state,
        choice,
        ask=n - len(check),
        excluded=excluded,
        trust_config=trust_config,
    )


def plan_next(project: Project, folder: ProjectFolder, *, trust_config: bool = False) -> Plan:
    """What the next `select` does; the pool alone while nothing is labelled.

    A pool that is not measured yet is taken as the guide's redundant one.

    Raises:
        InputError: the files do not allow it.
    """
    state = read_state(project, folder)
    pool = plan_pool(project)
    if not state.train_ids:
        return pool.plan
    facts = PoolFacts(images=len(state.frames), sequences=1)
    if folder.store.is_done(pool.pool):
        facts = PoolFacts.read(folder.store, pool.pool)
    n = min(project.batch, len(state.candidates))
    check = draw_check(project, state, state.next_number, check_size(project, n))
    choice = choose_method(project, None, facts, labelled_after_next(project, state))
    planned = plan_batch(project, folder, state, choice, n, check, trust_config=trust_config)
    return planned.plan


def labelled_after_next(project: Project, state: State) -> int:
    """Images that are labelled after the next batch, as `select` counts them.

    Once everything is asked for, the batch that is open is the next one.
    """
    open_batch = state.open_batch
    if open_batch is not None and not state.candidates:
        return len(state.labelled) + len(state.waiting(open_batch))
    return len(state.labelled) + min(project.batch, len(state.candidates))


def pool_facts(project: Project, folder: ProjectFolder, services: Services) -> PoolFacts:
    """The level of the whole pool, measured once for the images that there are."""
    planned = plan_pool(project)
    if not folder.store.is_done(planned.pool):
        services.run(planned.plan)
    return PoolFacts.read(folder.store, planned.pool)
