"""What a project's commands need: a runner of plans, devices, somebody who listens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from alspec.errors import StepFailed
from alspec.plan.dag import Plan
from alspec.run.loop import RunSummary

RunPlan: TypeAlias = Callable[[Plan], RunSummary]
"""Runs what of a plan is not done; checks models and disk before."""


def _ignored(*_: object) -> None:
    """Nobody listens."""


@dataclass(frozen=True)
class Services:
    """What is done for a project's commands.

    Attributes:
        run_plan: runs steps.
        devices: names, one a process.
        note: called with a line of text worth knowing.
        progress: called with what is done, units done and in all.
        project: how the user calls the spec, for commands in texts.
    """

    run_plan: RunPlan
    devices: Sequence[str] = ("cpu",)
    note: Callable[[str], None] = field(default=_ignored)
    progress: Callable[[str, int, int], None] = field(default=_ignored)
    project: str = "project.yaml"

    def run(self, plan: Plan) -> None:
        """Run a plan to its end.

        Raises:
            StepFailed: a step failed; finished steps stay in the store.
        """
        summary = self.run_plan(plan)
        if summary.failed:
            first = next(iter(summary.failed.items()))
            raise StepFailed(f"{plan.steps[first[0]].label}: {first[1]}")
