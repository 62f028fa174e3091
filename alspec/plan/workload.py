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
        like: JSON; steps that have it in common take equally long an image on equal devices.
        related: JSON; of steps that have it in common one can be told from another by `factor`.
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
    for run in plan.runs:
        setting = settings[run.dataset, run.budget]
        for labelled in run.sets:
            for key in (labelled.train, labelled.evaluate, labelled.acquire):
                if key and found.get(key) is IDLE:
                    images = labelled.labelled_images
                    found[key] = _workload(plan, plan.steps[key], setting, images)
    return found


def _workload(plan: Plan, step: Step, setting: Setting, labelled_images: int) -> Workload:
    if step.kind is StepKind.TRAIN:
        images = training_images(labelled_images, plan.study.training)
        factor = SSL_FACTOR if step.params["s4gan"] else 1.0
        return _of(step, step, images, factor, _training_facts(step))
    if "train" not in step.inputs:
        return IDLE
    trained = plan.steps[step.inputs["train"]]
    if step.kind is StepKind.EVALUATE:
        size = {"image_size": step.params.get("image_size")}
        return _of(step, trained, setting.validation_images, FORWARD_FACTOR, size)
    method, params = step.params["method"], step.params["method_params"]
    every = (step.params["candidates"] or {"every": 1})["every"]
    factor = FORWARD_FACTOR
    if Need.PASSES in acquisition_function(method).needs:
        factor *= 1 + PASS_FACTOR * params.get("passes", 0)
    facts = {"method": method, "method_params": params}
    return _of(step, trained, setting.pool_images // every, factor, facts)


def _training_facts(step: Step) -> dict[str, Any]:
    training = step.params["training"]
    names = ("batch_size", "crop", "precision")
    return {"ssl": bool(step.params["s4gan"]), **{name: training[name] for name in names}}


def _of(
    step: Step, trained: Step, images: int, factor: float, facts: Mapping[str, Any]
) -> Workload:
    """A workload of a step, and of the training of the model that it runs."""
    place = trained.places["dataset"]
    related = {
        "model": trained.params["model"],
        "classes": trained.params["classes"],
        "data": place["kind"],
        "image_size": place["image_size"],
    }
    about = {"kind": step.kind.value, "dropout": trained.params["mc_dropout"], "facts": facts}
    trains = step.kind is StepKind.TRAIN
    return Workload(images, _text({**related, **about}), _text(related), factor, trains)


def _text(data: Mapping[str, Any]) -> str:
    return json.dumps(data, sort_keys=True, separators=(",", ":"))
