"""The schedule of a run: which steps are at work when, as the loop would hand them out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from heapq import heappop, heappush

from alspec.plan.cost.priority import ranks
from alspec.plan.dag import Plan
from alspec.plan.step import Step, StepKey


@dataclass(frozen=True, slots=True)
class Moment:
    """A step begins or ends.

    Attributes:
        time: seconds since the first step began, or the unit of the costs.
        step: which.
        ends: whether it ends.
    """

    time: float
    step: Step
    ends: bool


def schedule(
    plan: Plan, costs: Mapping[StepKey, float], todo: Set[StepKey], slots: int
) -> Iterator[Moment]:
    """Every start and end of a run whose slots take ready steps in the order of `ranks`.

    Args:
        plan: the study, expanded.
        costs: how long each step takes.
        todo: the steps to run; the others are done.
        slots: devices at work at once, at least 1; a step that takes more of them takes all.
    """
    rank, consumers = ranks(plan, costs), plan.consumers()
    by_rank = {rank[key]: plan.steps[key] for key in todo}
    waits = {step.key: len({*step.inputs.values()} & todo) for step in by_rank.values()}
    ready = sorted(rank[key] for key, inputs in waits.items() if not inputs)
    at_work: list[tuple[float, int]] = []
    now, free = 0.0, slots
    while ready or at_work:
        while ready and free >= min(slots, by_rank[ready[0]].devices):
            step = by_rank[place := heappop(ready)]
            free -= min(slots, step.devices)
            yield Moment(now, step, ends=False)
            heappush(at_work, (now + costs[step.key], place))
        now, place = heappop(at_work)
        step = by_rank[place]
        free += min(slots, step.devices)
        yield Moment(now, step, ends=True)
        for reader in {*consumers[step.key]} & waits.keys():
            waits[reader] -= 1
            if not waits[reader]:
                heappush(ready, rank[reader])


def makespan(plan: Plan, costs: Mapping[StepKey, float], todo: Set[StepKey], slots: int) -> float:
    """When the last step of the schedule ends; 0 for none."""
    return max((moment.time for moment in schedule(plan, costs, todo, slots)), default=0.0)


def longest_chain(
    plan: Plan, costs: Mapping[StepKey, float], todo: Set[StepKey]
) -> tuple[StepKey, ...]:
    """The steps that wait for one another and cost the most together: the critical path.

    Args:
        plan: the study, expanded.
        costs: how long each step takes.
        todo: the steps to run; the others are done.

    Returns:
        In the order in which they run; no number of slots is faster than their sum.
    """
    best: dict[StepKey, float] = {}
    before: dict[StepKey, StepKey | None] = {}
    for step in plan.in_order():
        if step.key in todo:
            sources = [source for source in step.inputs.values() if source in best]
            last = max(sources, key=best.__getitem__, default=None)
            before[step.key] = last
            best[step.key] = costs[step.key] + (best[last] if last is not None else 0.0)
    chain: list[StepKey] = []
    here = max(best, key=best.__getitem__, default=None)
    while here is not None:
        chain.append(here)
        here = before[here]
    return tuple(reversed(chain))
