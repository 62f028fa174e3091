"""A spec as plain data that knows where each value was written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

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
class Text:
    """A file's name, as the user calls it, and its lines."""

    name: str
    lines: Sequence[str]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value, and the key before it, were written.

    Attributes:
        value: the value's stretch of the file; None when an override set it.
        key: the key's, for values in a mapping.
        override: the argument that set the value, as `--set training.epochs=1`.
        text: the file; None for the spec's own, another for what it extends.
    """

    value: Span | None = None
    key: Span | None = None
    override: str = ""
    text: Text | None = None


@dataclass(slots=True)
class Source:
    """A spec as plain data, with the place of each value.

    Attributes:
        name: the file as the user calls it, or the argument.
        lines: the text.
        data: mappings, lists, text, numbers, booleans, None, and `Template` for text with `${`.
        positions: the place of every value, by its loc.
    """

    name: str
    lines: list[str]
    data: object = None
    positions: dict[Loc, Place] = field(default_factory=dict)

    def problem(
        self, loc: Loc, what: str, *, at_key: bool = False, against: Sequence[Loc] = ()
    ) -> Problem:
        """A problem at the deepest place that `loc` leads to.

        Parts of the loc that do not exist are skipped, such as a key that is missing.

        Args:
            loc: the place.
            what: the problem in words.
            at_key: point at the key instead of the value.
            against: places that this one does not agree with; their lines follow.
        """
        place = self.positions[self.known(loc)]
        if place.override:
            found = Problem(f"--set {place.override}", what, loc=loc)
        else:
            span = place.key if at_key and place.key else place.value
            found = self.at(span, what, loc, place.text)
        others = [self.positions[self.known(other)] for other in against]
        shown = [self._of_file(other, place) for other in others if other.value]
        excerpt = "\n".join(part for part in (found.excerpt, *shown) if part)
        return replace(found, excerpt=excerpt, against=tuple(against))

    def _of_file(self, place: Place, beside: Place) -> str:
        """A place's line; with the file's name where that is another than that of `beside`."""
        text = place.text or Text(self.name, self.lines)
        excerpt = _excerpt(text.lines, place.value) if place.value else ""
        return excerpt if place.text == beside.text else f"in {text.name}:\n{excerpt}"

    def value(self, loc: Loc) -> object:
        """The value at a loc; None where there is none."""
        value = self.data
        for part in loc:
            if isinstance(value, dict):
                value = value.get(part)
            elif isinstance(value, list) and isinstance(part, int) and 0 <= part < len(value):
                value = value[part]
            else:
                return None
        return value

    def known(self, loc: Loc) -> Loc:
        """The parts of a loc that are in the spec."""
        known: Loc = ()
        for part in loc:
            if (*known, part) in self.positions:
                known = (*known, part)
        return known

    def at(self, span: Span | None, what: str, loc: Loc = (), text: Text | None = None) -> Problem:
        """A problem with the line it is about, counted from 1, and a caret below."""
        text = text or Text(self.name, self.lines)
        if span is None:
            return Problem(text.name, what, loc=loc)
        where = f"{text.name}:{span.line + 1}:{span.column + 1}"
        return Problem(where, what, _excerpt(text.lines, span), loc)


def _excerpt(lines: Sequence[str], span: Span) -> str:
    line = lines[span.line] if span.line < len(lines) else ""
    first = max(0, span.column - _CONTEXT // 2) if len(line) > _CONTEXT else 0
    shown = line[first : first + _CONTEXT]
    shown = "".join(char if char.isprintable() else " " for char in shown)
    carets = "^" * max(1, min(span.width, _CONTEXT - (span.column - first)))
    number = f"{span.line + 1:>5}"
    return f"{number} | {shown.rstrip()}\n{'':>5} | {'':>{span.column - first}}{carets}"
