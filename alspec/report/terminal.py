"""A document as plain text for a terminal."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from unicodedata import east_asian_width

from alspec.report.document import (
    Block,
    Document,
    Fold,
    Heading,
    Items,
    Paragraph,
    Picture,
    Table,
    text,
)

_MARKS = re.compile("[\ue000-\ue003]")
WIDTH = 88
"""Columns of running text; tables take what they need."""


def to_text(document: Document, width: int = WIDTH) -> str:
    """The document as lines of text; figures are named by their files.

    Args:
        document: what to show.
        width: columns of running text, at least 20.
    """
    title = _plain(document.title)
    parts = [f"{title}\n{'=' * columns(title)}", _wrapped(document.lead, width)]
    return "\n\n".join(filter(None, [*parts, *_blocks(document.blocks, width)])) + "\n"


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


def _blocks(blocks: Sequence[Block], width: int) -> Iterator[str]:
    for block in blocks:
        if isinstance(block, Heading):
            title = _plain(block.title)
            yield f"{title}\n{('-' if block.level == 2 else '.') * columns(title)}"
        elif isinstance(block, Paragraph):
            start = "! " if block.note else ""
            yield _wrapped(block.sentences, width, start, " " * len(start))
        elif isinstance(block, Items):
            yield "\n".join(_items(block, width))
        elif isinstance(block, Table):
            yield _table(block)
        elif isinstance(block, Picture):
            yield f"[figures/{block.name}.{block.kind}] {_plain(block.about)}"
        elif isinstance(block, Fold):
            yield from _blocks(block.blocks, width)


def _items(block: Items, width: int) -> Iterator[str]:
    for item in block.items:
        yield _wrapped(item.sentences, width, "- ", "  ")
        for each in item.below:
            yield _wrapped(each, width, "  - ", "    ")


def _table(block: Table) -> str:
    rows = [[_plain(cell) for cell in row] for row in (block.header, *block.rows)]
    widths = [max(columns(row[k]) for row in rows) for k in range(len(block.header))]
    lines = []
    for row in rows:
        cells = [
            cell + " " * (wide - columns(cell))
            if k < block.left
            else " " * (wide - columns(cell)) + cell
            for k, (cell, wide) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join([lines[0], "  ".join("-" * wide for wide in widths), *lines[1:]])
