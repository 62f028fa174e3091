"""Which step of a plan goes first."""

from __future__ import annotations

from collections.abc import Mapping

from alspec.plan.dag import Plan
from alspec.plan.estimate import remaining_cost
from alspec.plan.step import StepKey, StepKind


def ranks(plan: Plan) -> Mapping[StepKey, int]:
    """The place of each step among those that are ready at the same time, 0 first.

    Evaluations go first: they are short, a study's numbers come while it runs, and weights that
    were read need no disk any more. Then the start of the longest chain.
    """
    left = remaining_cost(plan)

    def urgency(key: StepKey) -> tuple[bool, float]:
        return plan.steps[key].kind is not StepKind.EVALUATE, -left[key]

    return {key: rank for rank, key in enumerate(sorted(plan.steps, key=urgency))}
