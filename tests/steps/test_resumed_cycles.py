"""A run of three cycles, each training stopped and gone on with: weights equal bit for bit."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import pytest
from factories.performed_steps import CPU, Performed, nothing, study

from alspec.errors import Interrupted
from alspec.plan.dag import Plan
from alspec.plan.expand import expand
from alspec.plan.kinds import ACQUIRE, EVALUATE, POOL, TRAIN
from alspec.plan.step import Step
from alspec.run.executors.worker import work_on
from alspec.steps.work import WorkerContext

pytestmark = pytest.mark.usefixtures("small_discriminator")

CYCLES = 3
SAME = {
    POOL: {"pool.csv", "pool.json"},
    TRAIN: {"weights.safetensors", "epochs.csv", "model.json"},
    EVALUATE: {"confusion.npy"},
    ACQUIRE: {"selected.txt", "labelled.txt"},
}


def plan_of(ssl: bool) -> Plan:
    budget = {"name": "b", "unit": "images", "initial": 3, "step": 2, "cycles": CYCLES}
    method = "entropy" if ssl else {"name": "bald", "passes": 2}
    training = {"epochs": 2, "batch_size": 2, "lr": 0.05, "crop": [24, 40]}
    return expand(
        study(methods=[method], ssl=[ssl], baselines=[], budgets=[budget], training=training)
    )


def interrupted(performed: Performed, step: Step, at: int, loader_workers: int) -> None:
    """Does a training in two goes, stopped after some iterations."""
    first, told = WorkerContext(CPU, loader_workers=loader_workers), []

    def stop(done: int, total: int) -> None:
        if done == at:
            first.stop.set()

    with mock.patch("os.fsync"):
        with pytest.raises(Interrupted):
            work_on(step, performed.store, first, stop)
        assert not performed.store.is_done(step.key)
        worker_context = WorkerContext(CPU, loader_workers=loader_workers)
        work_on(step, performed.store, worker_context, lambda done, total: told.append(done))
    assert told[0] == at + 1


@pytest.fixture(scope="module", params=[False, True], ids=["dropout", "s4gan"])
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Performed:
    """Every step of the run, never interrupted, without loader workers."""
    performed = Performed(tmp_path_factory.mktemp("whole"), plan_of(request.param))
    performed.perform_all()
    return performed


@pytest.mark.parametrize(
    "loader_workers", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 2))]
)
def test_each_cycle_stopped_and_gone_on_with(
    whole: Performed, tmp_path: Path, loader_workers: int
) -> None:
    performed = Performed(tmp_path, whole.plan)
    performed.worker_context.loader_workers = loader_workers
    trainings = 0
    for step in whole.plan.in_order():
        if step.kind is TRAIN:
            interrupted(performed, step, 1 + trainings % 2, loader_workers)
            trainings += 1
        else:
            work_on(step, performed.store, performed.worker_context, nothing)
        made, expected = performed.store.artifacts(step.key), whole.store.artifacts(step.key)
        assert made.keys() == expected.keys()
        assert {n: made[n] for n in SAME[step.kind]} == {n: expected[n] for n in SAME[step.kind]}
    assert trainings == sum(len(run.sets) for run in whole.plan.runs) - shared(whole.plan)
    assert trainings >= CYCLES


def shared(plan: Plan) -> int:
    """Trainings that several runs have in common."""
    sets = [labelled.train for run in plan.runs for labelled in run.sets]
    return len(sets) - len(set(sets))
