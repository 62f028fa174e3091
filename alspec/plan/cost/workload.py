"""How much each step has to do, and which steps take equally long for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from alspec.acquisition.base import Need
from alspec.plan.arms import acquisition_function
from alspec.plan.dag import Plan, Setting
from alspec.plan.step import Step, StepKey, StepKind
from alspec.spec.model import Training

SSL_FACTOR = 3.5
"""A step of s4GAN against one of supervised training: twice the images, and the discriminator."""

FORWARD_FACTOR = 1 / 3
"""A forward pass against a training step, an image."""

PASS_FACTOR = 0.15
"""A dropout pass, which runs the decoder alone, against a whole forward pass."""


@dataclass(frozen=True, slots=True)
class Workload:
    """What decides how long a step takes on a device.

    Attributes:
        images: that a model is run on; 0 for a step that runs none.
        timing_key: text; steps that have it in common take equally long an image on equal devices.
        model_key: text; of steps that have it in common one can be told from another by `factor`.
        factor: the cost of an image, in those of supervised training; a rule of thumb.
        trains: whether the images are trained on.
    """

    images: int
    timing_key: str = ""
    model_key: str = ""
    factor: float = 0.0
    trains: bool = False


IDLE = Workload(0)


def training_images(labelled_images: int, training: Training) -> int:
    """Labelled images that a training reads in all: whole batches, at least one."""
    batch = training.batch_size
    return max(1, round(labelled_images * training.epochs / batch)) * batch


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
                if trained and trained.kind is StepKind.TRAIN:
                    images, factor, facts = _amount(plan, step, setting, labelled.labelled_images)
                    relation = relations.get(run.dataset) or _relation(trained)
                    relations[run.dataset] = relation
                    dropout = trained.params["mc_dropout"]
                    like = _text({"kind": step.kind.value, "dropout": dropout, "facts": facts})
                    trains = step is trained
                    found[key] = Workload(images, f"{relation} {like}", relation, factor, trains)
    return found


def _relation(train: Step) -> str:
    """What all steps of a study on one dataset have in common."""
    place, params = train.local_paths["dataset"], train.params
    where = {"data": place["kind"], "image_size": place["image_size"]}
    return _text({"model": params["model"], "classes": params["classes"], **where})


def _amount(
    plan: Plan, step: Step, setting: Setting, labelled_images: int
) -> tuple[int, float, dict[str, Any]]:
    """Images, the cost of one, and what else decides it."""
    params = step.params
    if step.kind is StepKind.TRAIN:
        names = ("batch_size", "crop", "precision", "compile")
        facts = {name: params["training"][name] for name in names if name in params["training"]}
        factor = SSL_FACTOR if params["s4gan"] else 1.0
        images = training_images(labelled_images, plan.study.training)
        return images, factor, {"ssl": bool(params["s4gan"]), **facts}
    if step.kind is StepKind.EVALUATE:
        size = params.get("image_size")
        return setting.validation_images, FORWARD_FACTOR, {"image_size": size}
    every = plan.steps[step.inputs["pool"]].params.get("candidates", {"every": 1})["every"]
    passes = 0
    if Need.PASSES in acquisition_function(params["method"]).needs:
        passes = params["method_params"].get("passes", 0)
    facts = {name: params[name] for name in ("method", "method_params")}
    return setting.pool_images // every, FORWARD_FACTOR * (1 + PASS_FACTOR * passes), facts


def _text(data: Mapping[str, Any]) -> str:
    return json.dumps(data, sort_keys=True, separators=(",", ":"))
