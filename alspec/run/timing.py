"""What `plan` and `run` say of time: from finished steps, or from a calibration."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from alspec.plan.cost.priority import step_costs
from alspec.plan.cost.time import Pace, format_duration, step_seconds, wall_seconds
from alspec.plan.cost.workload import Workload, workloads
from alspec.plan.dag import Plan
from alspec.plan.step import StepKey
from alspec.results.throughput import device_kind, measured, record_throughput, saved_throughput
from alspec.run.devices import most_together
from alspec.store.store import Store


@dataclass(frozen=True, slots=True)
class Estimate:
    """How long the steps to run will take, and how that is known.

    Attributes:
        seconds: wall time; None where nothing was measured.
        words: a sentence for the reader.
    """

    seconds: float | None
    words: str


def estimate(plan: Plan, store: Store, todo: Collection[StepKey], slots: Sequence[str]) -> Estimate:
    """The wall time of the steps to run on some device slots.

    Args:
        plan: the study, expanded.
        store: with finished steps, of this study and of others.
        todo: the steps to run.
        slots: one device name a worker.
    """
    if not todo:
        return Estimate(0.0, "Nothing is left to run.")
    together = max(plan.steps[key].devices for key in todo)
    if together > most_together(slots):
        what = f"a training takes {together} devices together, and {most_together(slots)} is here"
        return Estimate(None, f"Time: not known; {what}. Name them with --devices.")
    device, loads = device_kind(slots[0]), workloads(plan)
    paces = _paces(plan, loads, store, todo, device)
    seconds = step_seconds(loads, paces)
    if seconds is None:
        return Estimate(None, "Time: not known; `alspec plan --calibrate` measures it.")
    wall = wall_seconds(plan, seconds, todo, len(slots))
    where = f"{len(slots)} {device} worker{'s' if len(slots) > 1 else ''}"
    return Estimate(wall, f"About {format_duration(wall)} on {where}, from {_origin(paces)}.")


def seconds_of(
    plan: Plan, store: Store, todo: Collection[StepKey], device: str
) -> Mapping[StepKey, float] | None:
    """The seconds of each step's own work on a device; None where nothing like it was measured."""
    loads = workloads(plan)
    return step_seconds(loads, _paces(plan, loads, store, todo, device_kind(device)))


def costs_of(
    plan: Plan, store: Store, todo: Collection[StepKey], device: str
) -> Mapping[StepKey, float]:
    """The cost of each step: seconds where they can be estimated, else a relative measure."""
    return seconds_of(plan, store, todo, device) or step_costs(plan)


def save_throughput(plan: Plan, store: Store, tried: Collection[StepKey], device: str) -> None:
    """Remember how fast those steps were that a run finished, for the plans of other studies."""
    kind = device_kind(device)
    if tried:
        record_throughput(measured(plan, workloads(plan), store, tried, kind), store, kind)


def calibrate(plan: Plan, store: Store, slots: Sequence[str], *, trust_config: bool) -> None:
    """Time a sample of a study on a device or two, and record_throughput what was found.

    Raises:
        StepFailed: a step of the sample failed.
    """
    from alspec.run.calibrate import timed_sample

    kind = device_kind(slots[0])
    with timed_sample(plan.study, store, slots, trust_config=trust_config) as sample:
        loads = workloads(sample.plan)
        paces = measured(sample.plan, loads, sample.store, sample.keys, kind)
    record_throughput(paces, store, kind, calibrated=True)


def _paces(
    plan: Plan,
    loads: Mapping[StepKey, Workload],
    store: Store,
    todo: Collection[StepKey],
    device: str,
) -> Mapping[str, Pace]:
    """What is known of a device for a plan; its own finished steps come before everything else."""
    done = (key for key in plan.steps if key not in todo)
    found = {**saved_throughput(store, device), **measured(plan, loads, store, done, device)}
    return {
        like: found[like] for like in {load.timing_key for load in loads.values()} & found.keys()
    }


def _origin(paces: Mapping[str, Pace]) -> str:
    """Where paces come from, in words."""
    steps = sum(pace.steps for pace in paces.values() if not pace.calibrated)
    days = sorted({pace.calibrated for pace in paces.values() if pace.calibrated})
    sources = [f"{steps} finished step{'s' if steps > 1 else ''}"] if steps else []
    sources += [f"a calibration of {days[-1]}"] if days else []
    return " and ".join(sources)
