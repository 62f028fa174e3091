"""How long what is left of a plan takes on more or fewer devices, and which chain bounds it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TypedDict

from alspec.errors import InputError
from alspec.plan.cost.schedule import longest_chain
from alspec.plan.cost.time import STEP_SECONDS, format_duration, wall_seconds
from alspec.plan.dag import Plan
from alspec.plan.step import StepKey
from alspec.run.timing import seconds_of
from alspec.store.store import Store

MOST_DEVICES = 10_000


class MakespanData(TypedDict):
    """The time on a number of devices."""

    devices: int
    seconds: float


class ScalingData(TypedDict):
    """`plan --gpus` in numbers."""

    makespans: list[MakespanData]
    critical_path: list[str]
    critical_seconds: float


@dataclass(frozen=True, slots=True)
class Scaling:
    """The wall time of a plan's steps on several numbers of devices, one step a device at a time.

    Attributes:
        seconds: by the number of devices.
        chain: labels of the steps that wait for one another the longest, in order.
        chain_seconds: what they take; no number of devices is faster.
        device: the kind of device that this is about.
    """

    seconds: dict[int, float]
    chain: tuple[str, ...]
    chain_seconds: float
    device: str

    def rows(self) -> list[tuple[str, str, str]]:
        """Devices, time, and how much faster than on the first number, as a table has it."""
        first = next(iter(self.seconds.values()))
        return [
            (str(count), format_duration(seconds), f"{first / seconds:.1f}" if seconds else "1.0")
            for count, seconds in self.seconds.items()
        ]

    def chain_in_words(self) -> str:
        """The critical path, by its ends."""
        if not self.chain:
            return "Nothing is left to run."
        ends = " → ".join(dict.fromkeys((self.chain[0], self.chain[-1])))
        took = format_duration(self.chain_seconds)
        return f"Critical path, {took} on any number: {len(self.chain)} steps, {ends}."

    def as_data(self) -> ScalingData:
        """The same as `plan --json` prints it."""
        spans: list[MakespanData] = [
            {"devices": count, "seconds": seconds} for count, seconds in self.seconds.items()
        ]
        chain = list(self.chain)
        return {
            "makespans": spans, "critical_path": chain, "critical_seconds": self.chain_seconds,
        }  # fmt: skip


def parse_counts(text: str) -> list[int]:
    """Numbers of devices from `1,8,64`. Raises InputError."""
    counts = [int(part) if part.strip().isdecimal() else 0 for part in text.split(",")]
    if not all(1 <= count <= MOST_DEVICES for count in counts):
        raise InputError.at("--gpus", f"`{text}` is no list of numbers. Write 1,8,64")
    return sorted(set(counts))


def require_counts(counts: Sequence[int], devices: int) -> None:
    """Raises InputError for fewer devices than a training takes together."""
    if few := [count for count in counts if count < devices]:
        what = f"`{few[0]}`: a training takes {devices} together (execution.devices)"
        raise InputError.at("--gpus", what)


def scaling(
    plan: Plan, store: Store, todo: Collection[StepKey], device: str, counts: Sequence[int]
) -> Scaling | None:
    """The time on each number of devices, from measured throughput.

    Args:
        plan: the study, expanded.
        store: with finished steps, of this study and of others.
        todo: the steps to run.
        device: a device's name; throughput of its kind is asked for.
        counts: of devices.

    Returns:
        None where nothing like these steps was measured on such a device.
    """
    seconds = seconds_of(plan, store, todo, device)
    if seconds is None:
        return None
    whole = {key: value + STEP_SECONDS for key, value in seconds.items()}
    chain = longest_chain(plan, whole, frozenset(todo))
    return Scaling(
        {count: wall_seconds(plan, seconds, todo, count) for count in counts},
        tuple(plan.steps[key].label for key in chain),
        sum(whole[key] for key in chain),
        device.partition(":")[0],
    )
