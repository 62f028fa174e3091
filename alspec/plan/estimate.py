"""What a plan costs, before and while it runs."""

from __future__ import annotations

from collections.abc import Mapping

from alspec.plan.dag import Plan
from alspec.plan.step import StepKey

SSL_FACTOR = 3.5
"""A step of s4GAN against one of supervised training: twice the images, and the discriminator."""

FORWARD_FACTOR = 1 / 3
"""A forward pass against a training step, an image."""


def step_costs(plan: Plan) -> Mapping[StepKey, float]:
    """The cost of each step in images trained on without labels' help; a relative measure."""
    costs = dict.fromkeys(plan.steps, 1.0)
    pool_images = {setting.dataset: setting.pool_images for setting in plan.settings}
    for run in plan.runs:
        for labelled in run.sets:
            images = labelled.labelled_images * plan.study.training.epochs
            costs[labelled.train] = images * (SSL_FACTOR if run.ssl else 1.0)
            costs[labelled.evaluate] = pool_images[run.dataset] * FORWARD_FACTOR
            if labelled.acquire and "train" in plan.steps[labelled.acquire].inputs:
                costs[labelled.acquire] = pool_images[run.dataset] * FORWARD_FACTOR
    return costs


def remaining_cost(plan: Plan) -> Mapping[StepKey, float]:
    """For each step the cost of the longest chain that starts with it: what to run first."""
    costs = step_costs(plan)
    consumers = plan.consumers()
    chain: dict[StepKey, float] = {}
    for step in reversed(list(plan.in_order())):
        after = [chain[reader] for reader in consumers[step.key]]
        chain[step.key] = costs[step.key] + max(after, default=0.0)
    return chain
