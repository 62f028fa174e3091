"""Times a sample of a study: the same model, sizes and methods, a few images and iterations."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from alspec.datasets.base import Split
from alspec.datasets.kinds.partly_labelled import PartlyLabelled
from alspec.datasets.open import open_dataset
from alspec.errors import StepFailed
from alspec.plan.arms import acquisition_function
from alspec.plan.dag import Plan
from alspec.plan.expand import expand
from alspec.plan.kinds import EVALUATE, TRAIN
from alspec.plan.step import Step, StepKey
from alspec.run.devices import require_room
from alspec.run.executors.base import Workplace
from alspec.run.executors.local import LocalExecutor
from alspec.run.loop import run
from alspec.run.observer import Silence
from alspec.spec.model import AllFrames, Budget, DatasetSpec, ListedFrames, Method, Study
from alspec.store.drafts import new_draft
from alspec.store.store import Store
from alspec.system.atomic import write_text

ITERATIONS = 5
SCORED = 32
"""Images of the sample's pool beside those that a training takes."""

WARMING, TIMED = 0, 1
"""Seeds of the sample; what a device does for the first time is not timed."""


@dataclass(frozen=True, slots=True)
class Timed:
    """A sample that was run.

    Attributes:
        plan: the sample's.
        store: with its steps.
        keys: those of them that measure how fast the device is.
    """

    plan: Plan
    store: Store
    keys: Sequence[StepKey]


@contextmanager
def timed_sample(
    study: Study, store: Store, slots: Sequence[str], *, trust_config: bool = False
) -> Iterator[Timed]:
    """Run a sample of a study in a worker process; it is removed when the block ends.

    Args:
        study: with absolute paths.
        store: that the study will have; the sample gets a store of its own below it.
        slots: device names; two CPU workers are timed at once, as they slow each other down, and
            one GPU, or as many as a training takes.
        trust_config: training may run the study's own MMSegmentation config file.

    Raises:
        InputError: a training takes more devices together than there are.
        StepFailed: a step of the sample failed, as it would in the study.
    """
    require_room(slots, study.execution.devices_a_training)
    folder = new_draft(store.folders.drafts, "calibration")
    try:
        plan = sample_plan(study, folder, trust_config=trust_config)
        own = Store(folder / "store")
        timed = [key for key, step in plan.steps.items() if step.params.get("seed") == TIMED]
        few = slots[:2] if slots[0] == "cpu" else slots[:1]
        if study.execution.devices_a_training > 1:
            few = slots
        executor = LocalExecutor(Workplace(own.root.absolute(), few, folder / "logs"))
        try:
            _run(plan, plan.steps.keys() - timed, own, executor)
            _run(plan, plan.steps.keys(), own, executor)
        finally:
            executor.close()
        yield Timed(plan, own, timed)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(plan: Plan, keys: Collection[StepKey], store: Store, executor: LocalExecutor) -> None:
    part = replace(plan, steps={key: step for key, step in plan.steps.items() if key in keys})
    failed = run(part, store, executor, Silence()).failed
    if failed:
        raise StepFailed(f"the calibration failed: {next(iter(failed.values()))}")


def sample_plan(study: Study, folder: Path, *, trust_config: bool = False) -> Plan:
    """The steps of a sample that are worth their time: first trainings, and what scores with them.

    Args:
        study: with absolute paths.
        folder: where lists of the sample's images are written.
        trust_config: training may run the study's own MMSegmentation config file.
    """
    plan = expand(_sample(study, folder), trust_config=trust_config)
    firsts = {labelled.train for each in plan.runs for labelled in each.sets[:1]}
    return replace(plan, steps={k: s for k, s in plan.steps.items() if _tells(s, firsts)})


def _tells(step: Step, firsts: set[StepKey]) -> bool:
    if step.kind is TRAIN:
        return step.key in firsts
    return step.kind is not EVALUATE


def _sample(study: Study, folder: Path) -> Study:
    batch = study.training.batch_size
    distinct = {(spec.kind, spec.image_size): spec for spec in reversed(study.datasets)}
    thin = [_thinned(spec, 2 * batch + SCORED, folder) for spec in distinct.values()]
    methods = study.methods
    if not any(acquisition_function(method.name).needs for method in methods):
        methods = (*methods, Method(name="entropy", label="calibration"))
    initial = min(batch, *(images - 1 for _, images in thin))
    budget = Budget(name="calibration", unit="images", initial=initial, step=1, cycles=2)
    return study.model_copy(
        update={
            "datasets": tuple(spec for spec, _ in thin),
            "budgets": (budget,),
            "methods": tuple(m.model_copy(update={"candidates": None}) for m in methods),
            "baselines": (),
            "seeds": (WARMING, TIMED),
            "training": study.training.model_copy(update={"epochs": ITERATIONS}),
            "keep": "none",
        }
    )


def _thinned(spec: DatasetSpec, most: int, folder: Path) -> tuple[DatasetSpec, int]:
    """A dataset with a pool of few images from everywhere in it that have masks, and how many."""
    dataset = open_dataset(spec.model_copy(update={"redundancy": AllFrames()}))
    frames = dataset.frames(Split.POOL)
    if isinstance(dataset, PartlyLabelled):
        labelled = set(dataset.labelled())
        frames = tuple(frame for frame in frames if frame.id in labelled)
    chosen = frames[:: -(-len(frames) // most)]
    listed = folder / f"{spec.name}.txt"
    write_text(listed, "".join(f"{frame.id}\n" for frame in chosen))
    pool = ListedFrames(kind="list", path=str(listed.absolute()))
    return spec.model_copy(update={"redundancy": pool, "budgets": None}), len(chosen)
