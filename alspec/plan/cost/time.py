"""What a plan costs, before and while it runs."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from statistics import median

from alspec.errors import InputError
from alspec.plan.cost.schedule import makespan
from alspec.plan.cost.workload import Workload
from alspec.plan.dag import Plan
from alspec.plan.step import StepKey

STEP_SECONDS = 0.1
"""What a step takes beside its own work: to be handed over, built, written, synced."""

START_SECONDS = 5.0
"""Until a worker has loaded torch and MMSegmentation."""

END_SECONDS = 2.0
"""To draw and write the report."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long steps of one kind of workload take on a device.

    Attributes:
        seconds_per_image: at least 0.
        steps: finished steps it was measured in.
        calibrated: the day it was measured on a sample, as YYYY-MM-DD; empty for steps of studies.
    """

    seconds_per_image: float
    steps: int
    calibrated: str = ""


def step_seconds(
    loads: Mapping[StepKey, Workload], paces: Mapping[str, Pace]
) -> Mapping[StepKey, float] | None:
    """The seconds of each step's own work.

    A step without timings is extrapolated from similar steps by a heuristic: scoring
    from other scoring, else from training.

    Args:
        loads: the workloads of a plan, or of a part of it.
        paces: what was measured, by `Workload.timing_key`.

    Returns:
        None if a step has no relative that was measured.
    """
    units = _unit_seconds(loads, paces)
    seconds: dict[StepKey, float] = {}
    for key, load in loads.items():
        if load.images == 0:
            seconds[key] = 0.0
        elif pace := paces.get(load.timing_key):
            seconds[key] = load.images * pace.seconds_per_image
        else:
            unit = units.get((load.model_key, load.trains), units.get((load.model_key, None)))
            if unit is None:
                return None
            seconds[key] = load.images * load.factor * unit
    return seconds


def _unit_seconds(
    loads: Mapping[StepKey, Workload], paces: Mapping[str, Pace]
) -> Mapping[tuple[str, bool | None], float]:
    """Median seconds of an image of factor 1, by relation and whether it was trained on.

    The key None has both together.
    """
    measured: dict[tuple[str, bool | None], list[float]] = {}
    for load in {load.timing_key: load for load in loads.values()}.values():
        if load.images and (pace := paces.get(load.timing_key)):
            unit = pace.seconds_per_image / load.factor
            measured.setdefault((load.model_key, load.trains), []).append(unit)
            measured.setdefault((load.model_key, None), []).append(unit)
    return {relation: median(units) for relation, units in measured.items()}


def wall_seconds(
    plan: Plan, seconds: Mapping[StepKey, float], todo: Collection[StepKey], slots: int
) -> float:
    """When a run would end whose slots take ready steps in the order of `ranks`.

    Args:
        plan: the study, expanded.
        seconds: of each step's own work.
        todo: the steps to run; the others are done.
        slots: steps at work at once, at least 1.
    """
    if not todo:
        return 0.0
    whole = {key: value + STEP_SECONDS for key, value in seconds.items()}
    return START_SECONDS + makespan(plan, whole, frozenset(todo), slots) + END_SECONDS


def format_duration(seconds: float) -> str:
    """`1 h 05 min`, `4 min 10 s` or `12 s`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def parse_duration(text: str) -> float:
    """Seconds of `90`, `90s`, `15m` or `2h`.

    Raises:
        InputError: it is none of these.
    """
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([smh]?)", text.strip())
    if found is None:
        raise InputError.at(text, "is not a duration. Write 90s, 15m or 2h")
    return float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]]
