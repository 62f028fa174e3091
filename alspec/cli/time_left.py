"""How long a run still takes, from what its steps were expected to cost and how fast they go."""

from __future__ import annotations

from collections.abc import Mapping

from alspec.plan.step import StepKey

_BEGUN = 0.005
"""Share of all costs after which the clock starts: workers have loaded what they need."""

_ENOUGH = 0.02
"""Share of all costs that has to be measured before an estimate is shown."""

_LEAST_SECONDS = 5.0


class TimeLeft:
    """Measures the seconds a unit of cost takes, start-up apart.

    Args:
        costs: what each step to run is expected to cost, relative to the others.
    """

    def __init__(self, costs: Mapping[StepKey, float]) -> None:
        self._costs = costs
        self._total = sum(costs.values())
        self._ended = 0.0
        self._partial: dict[StepKey, float] = {}
        self._start: tuple[float, float] | None = None

    def progressed(self, key: StepKey, share: float, now: float) -> None:
        """A step has done a share of its work, at a time in seconds."""
        self._partial[key] = share
        self._note(now)

    def ended(self, key: StepKey, now: float) -> None:
        """A step ended."""
        self._partial.pop(key, None)
        self._ended += self._costs.get(key, 0.0)
        self._note(now)

    def seconds(self, now: float) -> float | None:
        """Until all is done; None as long as too little was measured."""
        if self._start is None:
            return None
        began, spent_then = self._start
        passed, measured = now - began, self._spent() - spent_then
        if passed < _LEAST_SECONDS or measured < _ENOUGH * self._total:
            return None
        return passed / measured * max(0.0, self._total - self._spent())

    def _spent(self) -> float:
        partial = (self._costs.get(key, 0.0) * share for key, share in self._partial.items())
        return self._ended + sum(partial)

    def _note(self, now: float) -> None:
        if self._start is None and self._spent() > _BEGUN * self._total:
            self._start = (now, self._spent())
