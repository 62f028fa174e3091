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
        like: text; steps that have it in common take equally long an image on equal devices.
        related: text; of steps that have it in common one can be told from another by `factor`.
        factor: the cost of an image, in those of supervised training; a rule of thumb.
        trains: whether the images are trained on.
    """

    images: int
    like: str = ""
    related: str = ""
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
    related: dict[str, str] = {}
    for run in plan.runs:
        setting = settings[run.dataset, run.budget]
        if run.dataset not in related:
            related[run.dataset] = _relation(plan.steps[run.sets[0].train])
        for labelled in run.sets:
            for key in (labelled.train, labelled.evaluate, labelled.acquire):
                if key and found.get(key) is IDLE:
                    images = labelled.labelled_images
                    found[key] = _workload(plan, key, setting, images, related[run.dataset])
    return found


def _relation(train: Step) -> str:
    """The same for all steps of a study on one dataset."""
    place, params = train.places["dataset"], train.params
    where = {"data": place["kind"], "image_size": place["image_size"]}
    return _text({"model": params["model"], "classes": params["classes"], **where})


def _workload(
    plan: Plan, key: StepKey, setting: Setting, labelled_images: int, related: str
) -> Workload:
    step = plan.steps[key]
    if step.kind is not StepKind.TRAIN and "train" not in step.inputs:
        return IDLE
    if step.kind is StepKind.TRAIN:
        trained, images = step, training_images(labelled_images, plan.study.training)
        factor, facts = SSL_FACTOR if step.params["s4gan"] else 1.0, _training_facts(step)
    else:
        trained, images = plan.steps[step.inputs["train"]], setting.validation_images
        factor, facts = FORWARD_FACTOR, {"image_size": step.params.get("image_size")}
    if step.kind is StepKind.ACQUIRE:
        method, params = step.params["method"], step.params["method_params"]
        images = setting.pool_images // (step.params["candidates"] or {"every": 1})["every"]
        facts = {"method": method, "method_params": params}
        if Need.PASSES in acquisition_function(method).needs:
            factor *= 1 + PASS_FACTOR * params.get("passes", 0)
    about = {"kind": step.kind.value, "dropout": trained.params["mc_dropout"], "facts": facts}
    like = f"{related} {_text(about)}"
    return Workload(images, like, related, factor, trains=step.kind is StepKind.TRAIN)


def _training_facts(step: Step) -> dict[str, Any]:
    training = step.params["training"]
    names = ("batch_size", "crop", "precision")
    return {"ssl": bool(step.params["s4gan"]), **{name: training[name] for name in names}}


def _text(data: Mapping[str, Any]) -> str:
    return json.dumps(data, sort_keys=True, separators=(",", ":"))
