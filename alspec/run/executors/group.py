"""The workers that do one step together: what each is told, when it has ended, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from threading import Event

from alspec.plan.step import StepKey
from alspec.run.executors.base import Ended, Outcome


@dataclass(frozen=True, slots=True)
class Assignment:
    """A step for a worker, alone or as one of several that do it together.

    Attributes:
        key: the step's.
        rank: of this worker among them.
        count: of workers.
        meeting: a file that is not there yet, over which they meet; empty for one alone.
    """

    key: str
    rank: int = 0
    count: int = 1
    meeting: str = ""

    def to_line(self) -> str:
        """As a worker reads it."""
        alone = self.count == 1
        return self.key if alone else f"{self.key} {self.rank} {self.count} {self.meeting}"

    @classmethod
    def of(cls, line: str) -> Assignment:
        """What `to_line` wrote."""
        key, *group = line.split(" ", 3)
        return cls(key, int(group[0]), int(group[1]), group[2]) if group else cls(key)


@dataclass
class Group:
    """Workers at one step, by their rank; it ends when the last of them did.

    Attributes:
        key: the step's.
        slots: of the workers, in the order of their ranks.
        devices: theirs.
        ends: how each ended so far, by rank.
        ended_by_us: the others were ended after one had failed.
        over: set when all have ended.
    """

    key: StepKey
    slots: Sequence[int]
    devices: Sequence[str]
    ends: dict[int, Ended] = field(default_factory=dict)
    followed: set[int] = field(default_factory=set)
    ended_by_us: bool = False
    over: Event = field(default_factory=Event)

    def note(self, slot: int, end: Ended, *, follows: bool = False) -> None:
        """One of them ended.

        Args:
            slot: its own.
            end: how.
            follows: it failed since another one did.
        """
        rank = self.slots.index(slot)
        if rank not in self.ends:
            self.ends[rank] = end
            if follows or (self.ended_by_us and end.outcome is Outcome.LOST):
                self.followed.add(rank)
        if len(self.ends) == len(self.slots):
            self.over.set()

    @property
    def broken(self) -> bool:
        """Whether one failed or was lost, so that the others can come to no good end."""
        return any(end.outcome is not Outcome.DONE for end in self.ends.values())

    def end(self) -> Ended:
        """How the step ended: as the first worker's did, or with what broke in one of them."""
        if self.ends[0].outcome is Outcome.DONE:
            return self.ends[0]
        bad = {rank: e for rank, e in self.ends.items() if e.outcome is not Outcome.DONE}
        causes = [rank for rank in sorted(bad) if rank not in self.followed] or sorted(bad)
        rank, said = causes[0], {bad[cause].message for cause in causes}
        if len(said) == 1 and len(causes) == len(self.slots):
            return bad[rank]
        who = f"process {rank + 1} of {len(self.slots)} ({self.devices[rank]})"
        return replace(bad[rank], message=f"{who}: {bad[rank].message}")
