"""A spec as plain data that knows where each value was written."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from alspec.errors import Problem

Loc: TypeAlias = tuple[str | int, ...]
"""The keys and indices that lead to a value."""

LINE_END = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
"""Where YAML begins a new line."""

_CONTEXT = 100


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of one line; all numbers count from 0."""

    line: int
    column: int
    width: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value, and the key before it, were written.

    Attributes:
        value: the value's stretch of the file; None when an override set it.
        key: the key's, for values in a mapping.
        override: the argument that set the value, as `--set training.epochs=1`.
    """

    value: Span | None = None
    key: Span | None = None
    override: str = ""


@dataclass(slots=True)
class Source:
    """A spec as plain data, with the place of each value.

    Attributes:
        name: the file as the user calls it, or the argument.
        lines: the text.
        data: mappings, lists, text, numbers, booleans, None, and `Template` for text with `${`.
        local_paths: the place of every value, by its loc.
    """

    name: str
    lines: list[str]
    data: Any = None
    local_paths: dict[Loc, Place] = field(default_factory=dict)

    def problem(self, loc: Loc, what: str, *, at_key: bool = False) -> Problem:
        """A problem at the deepest place that `loc` leads to.

        Parts of the loc that lead nowhere are skipped, such as a key that is missing.
        """
        known = self.known(loc)
        place = self.local_paths[known]
        if place.override:
            return Problem(f"--set {place.override}", what, loc=loc)
        return self.at(place.key if at_key and place.key else place.value, what, loc)

    def value(self, loc: Loc) -> Any:
        """The value at a loc; None where there is none."""
        value = self.data
        for part in loc:
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def known(self, loc: Loc) -> Loc:
        """The parts of a loc that stand in the spec."""
        known: Loc = ()
        for part in loc:
            if (*known, part) in self.local_paths:
                known = (*known, part)
        return known

    def at(self, span: Span | None, what: str, loc: Loc = ()) -> Problem:
        """A problem with the line it is about, counted from 1, and a caret below."""
        if span is None:
            return Problem(self.name, what, loc=loc)
        where = f"{self.name}:{span.line + 1}:{span.column + 1}"
        return Problem(where, what, self._excerpt(span), loc)

    def _excerpt(self, span: Span) -> str:
        line = self.lines[span.line] if span.line < len(self.lines) else ""
        first = max(0, span.column - _CONTEXT // 2) if len(line) > _CONTEXT else 0
        shown = line[first : first + _CONTEXT]
        shown = "".join(char if char.isprintable() else " " for char in shown)
        carets = "^" * max(1, min(span.width, _CONTEXT - (span.column - first)))
        number = f"{span.line + 1:>5}"
        return f"{number} | {shown.rstrip()}\n{'':>5} | {'':>{span.column - first}}{carets}"
