"""How much each step has to do, and which steps take equally long for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from alspec.plan.dag import Plan, Setting
from alspec.plan.kinds import TRAIN
from alspec.plan.kinds.pool import PoolParams
from alspec.plan.kinds.record import Scale
from alspec.plan.kinds.train import TrainParams
from alspec.plan.step import Step, StepKey


@dataclass(frozen=True, slots=True)
class Workload:
    """What decides how long a step takes on a device.

    Attributes:
        images: that a model is run on; 0 for a step that runs none.
        timing_key: text; steps that have it in common take equally long an image on equal devices.
        model_key: text; times of steps that have it in common differ by `factor`.
        factor: the cost of an image, in those of supervised training; a heuristic.
        trains: whether the images are trained on.
    """

    images: int
    timing_key: str = ""
    model_key: str = ""
    factor: float = 0.0
    trains: bool = False


IDLE = Workload(0)


def workloads(plan: Plan) -> Mapping[StepKey, Workload]:
    """The workload of each step of a plan, which may be a part of its runs' steps."""
    found = dict.fromkeys(plan.steps, IDLE)
    settings = {(setting.dataset, setting.budget): setting for setting in plan.settings}
    relations: dict[str, str] = {}
    for run in plan.runs:
        setting = settings[run.dataset, run.budget]
        for labelled in run.sets:
            for key in (labelled.train, labelled.evaluate, labelled.acquire):
                if key is None or found.get(key) is not IDLE:
                    continue
                step = plan.steps[key]
                trained = plan.steps.get(step.inputs.get("train", key))
                if trained and trained.kind is TRAIN and step.kind.amount:
                    scale = Scale(
                        labelled.labelled_images,
                        _candidates(plan, step, setting),
                        setting.validation_images,
                        plan.study.training,
                    )
                    amount = step.kind.amount(step.params, scale)
                    relation = relations.get(run.dataset) or _relation(trained)
                    relations[run.dataset] = relation
                    dropout = TrainParams.of(trained.params).mc_dropout
                    facts = {"kind": step.kind.name, "dropout": dropout, "facts": amount.facts}
                    found[key] = Workload(
                        amount.images,
                        f"{relation} {_text(facts)}",
                        relation,
                        amount.factor,
                        trains=step is trained,
                    )
    return found


def _candidates(plan: Plan, step: Step, setting: Setting) -> int:
    """Images that a step's pool has: every n-th where its method's candidates are."""
    pool = plan.steps.get(step.inputs.get("pool", setting.pool_step))
    restricted = PoolParams.of(pool.params).candidates if pool else None
    return setting.pool_images // (restricted["every"] if restricted else 1)


def _relation(train: Step) -> str:
    """What all steps of a study on one dataset have in common."""
    place, params = train.local_paths["dataset"], TrainParams.of(train.params)
    where = {"data": place["kind"], "image_size": place["image_size"]}
    return _text({"model": params.model, "classes": params.classes, **where})


def _text(data: Mapping[str, object]) -> str:
    return json.dumps(data, sort_keys=True, separators=(",", ":"))
