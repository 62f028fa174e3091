"""Which trained weights a study keeps, and which steps read them."""

from __future__ import annotations

from collections.abc import Mapping

from alspec.plan.dag import Plan
from alspec.plan.kinds import TRAIN
from alspec.plan.step import StepKey


def retained_weights(plan: Plan) -> set[StepKey]:
    """The trainings whose weights the study keeps (`keep` in the spec)."""
    if plan.study.keep == "all":
        return {step.key for step in plan.in_order() if step.kind is TRAIN}
    if plan.study.keep == "last":
        return {run.sets[-1].train for run in plan.runs}
    return set()


def readers(plan: Plan) -> Mapping[StepKey, tuple[StepKey, ...]]:
    """For each training the steps that read its weights."""
    consumers = plan.consumers()
    return {s.key: consumers[s.key] for s in plan.in_order() if s.kind is TRAIN}
