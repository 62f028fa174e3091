"""The errors and the exit codes of the command line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path


class ExitCode(IntEnum):
    """Exit codes of the command line."""

    DONE = 0
    STEP_FAILED = 1
    BAD_INPUT = 2
    WAITING_FOR_LABELS = 3
    LOCKED = 4
    STORE_DAMAGED = 5
    INTERRUPTED = 75
    CTRL_C = 130


class AlspecError(Exception):
    """An error that its reader can act on: says what, where, why and what to do."""

    exit_code: ExitCode = ExitCode.STEP_FAILED


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with the user's input.

    Attributes:
        where: a file with line and column (`specs/a.yaml:4:17`), or a path, or an argument.
        what: what is wrong, why, and what to do, in one or two sentences.
        excerpt: the offending line with a caret below it; empty where there is none.
        loc: the place inside the spec, as `("datasets", 0, "root")`; `spec.load.located` turns it
            into file, line and column.
        against: places of the spec that the one at `loc` does not agree with; their lines are
            shown too.
    """

    where: str
    what: str
    excerpt: str = ""
    loc: tuple[str | int, ...] = ()
    against: tuple[tuple[str | int, ...], ...] = ()
    waits_for_labels: bool = False

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}"
        return f"{head}\n{self.excerpt}" if self.excerpt else head


_VARIES = re.compile(r"`[^`]*`|[0-9][0-9,.]*|#[0-9a-f]{6}")
_ALONE = 2


def grouped(problems: Sequence[Problem]) -> list[Problem]:
    """Problems of many files as one each: its first case, and of how many it is the first.

    Two are of one kind when they differ in numbers, colours and the text in backquotes alone;
    up to two of a kind are listed one by one.
    """
    kinds: dict[tuple[str, tuple[str | int, ...]], list[Problem]] = {}
    for problem in problems:
        kinds.setdefault((_VARIES.sub("", problem.what), problem.loc), []).append(problem)
    found: list[Problem] = []
    for alike in kinds.values():
        if len(alike) <= _ALONE:
            found += alike
        else:
            what = f"{alike[0].what} (the first of {len(alike):,} with this problem)"
            found.append(replace(alike[0], what=what))
    return found


class InputError(AlspecError):
    """Bad input, all of it at once; nothing has been written."""

    exit_code = ExitCode.BAD_INPUT

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        if problems and all(problem.waits_for_labels for problem in problems):
            self.exit_code = ExitCode.WAITING_FOR_LABELS
        super().__init__("\n".join(str(problem) for problem in self.problems))

    @classmethod
    def at(cls, where: str | Path, what: str) -> InputError:
        """One problem at one place."""
        return cls([Problem(str(where), what)])


class SpecError(InputError):
    """The study spec is not valid."""


class DataError(InputError):
    """The data on disk do not match what the spec says of them."""


class PluginError(AlspecError):
    """A plugin could not be loaded, or broke its contract."""

    exit_code = ExitCode.BAD_INPUT


class StoreError(AlspecError):
    """The store is damaged or cannot be written."""

    exit_code = ExitCode.STORE_DAMAGED


class StepFailed(AlspecError):
    """A step could not be finished; all other finished steps stay in the store."""


class RankLost(AlspecError):
    """Another process of the same training ended or failed; its own message says why."""


class Locked(AlspecError):
    """Another living process has the lease of a needed step; finished steps stay in the store."""

    exit_code = ExitCode.LOCKED


class Interrupted(AlspecError):
    """The process was interrupted; finished steps stay in the store."""

    exit_code = ExitCode.INTERRUPTED
