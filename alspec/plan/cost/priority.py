"""Which step of a plan goes first."""

from __future__ import annotations

from collections.abc import Mapping

from alspec.plan.cost.workload import workloads
from alspec.plan.dag import Plan
from alspec.plan.kinds import EVALUATE
from alspec.plan.step import StepKey


def step_costs(plan: Plan) -> Mapping[StepKey, float]:
    """The cost of each step in images trained on without labels' help; a relative measure."""
    return {key: max(1.0, load.images * load.factor) for key, load in workloads(plan).items()}


def remaining_cost(
    plan: Plan, costs: Mapping[StepKey, float] | None = None
) -> Mapping[StepKey, float]:
    """For each step the cost of the longest chain that starts with it: what to run first.

    Args:
        plan: the study, expanded.
        costs: of each step; `step_costs` if None.
    """
    costs = costs or step_costs(plan)
    consumers = plan.consumers()
    chain: dict[StepKey, float] = {}
    for step in reversed(list(plan.in_order())):
        after = [chain[reader] for reader in consumers[step.key]]
        chain[step.key] = costs[step.key] + max(after, default=0.0)
    return chain


def ranks(plan: Plan, costs: Mapping[StepKey, float] | None = None) -> Mapping[StepKey, int]:
    """The place of each step among those that are ready at the same time, 0 first.

    Evaluations go first: they are short, a study's numbers come while it runs, and weights that
    were read need no disk any more. Then the start of the longest chain.

    Args:
        plan: the study, expanded.
        costs: of each step; `step_costs` if None.
    """
    left = remaining_cost(plan, costs)

    def urgency(key: StepKey) -> tuple[bool, float]:
        return plan.steps[key].kind is not EVALUATE, -left[key]

    return {key: rank for rank, key in enumerate(sorted(plan.steps, key=urgency))}
