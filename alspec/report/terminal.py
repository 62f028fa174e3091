"""A document as plain text for a terminal."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from unicodedata import east_asian_width

from alspec.report.document import (
    Document,
    Heading,
    Items,
    Paragraph,
    Picture,
    Table,
    text,
)
from alspec.report.renderer import Renderer

_MARKS = re.compile("[\ue000-\ue003]")
WIDTH = 80
"""Columns of a terminal."""

LEAST_WORDS = 24
"""Columns that a wrapped cell of words has at least."""


def to_text(document: Document, width: int = WIDTH) -> str:
    """The document as lines of text; figures are named by their files.

    Args:
        document: what to show.
        width: columns, at least 20; only a cell that cannot be broken goes beyond.
    """
    title = _plain(document.title)
    parts = [f"{title}\n{'=' * columns(title)}", _wrapped(document.lead, width)]
    return "\n\n".join(filter(None, [*parts, *_Text(width).blocks(document.blocks)])) + "\n"


def columns(line: str) -> int:
    """Columns that a line takes; a wide character takes two."""
    return sum(2 if east_asian_width(char) in "WF" else 1 for char in line)


def _plain(sentences: str) -> str:
    return text(_MARKS.sub("", sentences))


def _wrapped(sentences: str, width: int, first: str = "", others: str = "") -> str:
    return textwrap.fill(
        _plain(sentences), width, initial_indent=first, subsequent_indent=others,
        break_on_hyphens=False, break_long_words=False,
    )  # fmt: skip


@dataclass(frozen=True)
class _Text(Renderer):
    """Blocks as lines of text."""

    width: int

    def heading(self, block: Heading) -> str:
        title = _plain(block.title)
        return f"{title}\n{('-' if block.level == 2 else '.') * columns(title)}"

    def paragraph(self, block: Paragraph) -> str:
        start = "! " if block.note else ""
        return _wrapped(block.sentences, self.width, start, " " * len(start))

    def items(self, block: Items) -> str:
        lines = []
        for item in block.items:
            lines.append(_wrapped(item.sentences, self.width, "- ", "  "))
            lines += [_wrapped(each, self.width, "  - ", "    ") for each in item.below]
        return "\n".join(lines)

    def table(self, block: Table) -> str:
        return _table(block, self.width)

    def picture(self, block: Picture) -> str:
        shown = f"[figures/{block.name}.{block.kind}] {_plain(block.about)}"
        return _wrapped(shown, self.width, "", "  ")


def _table(block: Table, width: int) -> str:
    """A table of at most `width` columns, where its cells let it: words wrap, others go below."""
    rows = [[_plain(cell) for cell in row] for row in (block.header, *block.rows)]
    widths = [max(columns(row[k]) for row in rows) for k in range(len(block.header))]
    last, taken = len(widths) - 1, sum(widths[:-1]) + 2 * (len(widths) - 1)
    if block.of_words(last) and LEAST_WORDS <= width - taken < widths[last]:
        widths[last] = width - taken
    parts = [
        "\n".join(_lines(block, rows, widths, shown)) for shown in _columns_below(widths, width)
    ]
    return "\n\n".join(parts)


def _columns_below(widths: Sequence[int], width: int) -> list[list[int]]:
    """The columns of each part of a table; every part begins with the first column."""
    parts, used = [[0]], widths[0]
    for k in range(1, len(widths)):
        if used + 2 + widths[k] > width and len(parts[-1]) > 1:
            parts.append([0])
            used = widths[0]
        parts[-1].append(k)
        used += 2 + widths[k]
    return parts


def _lines(
    block: Table, rows: Sequence[Sequence[str]], widths: Sequence[int], shown: Sequence[int]
) -> Iterator[str]:
    """Header, rule and rows of some columns; a cell wider than its column takes several lines."""
    for rank, row in enumerate(rows):
        cells = [
            [row[k]] if columns(row[k]) <= widths[k] else textwrap.wrap(row[k], widths[k])
            for k in shown
        ]
        for line in zip_longest(*cells, fillvalue=""):
            padded = [
                cell + " " * (widths[k] - columns(cell))
                if block.of_words(k)
                else " " * (widths[k] - columns(cell)) + cell
                for k, cell in zip(shown, line, strict=True)
            ]
            yield "  ".join(padded).rstrip()
        if rank == 0:
            yield "  ".join("-" * widths[k] for k in shown)
