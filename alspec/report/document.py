"""The report as blocks that know nothing of markdown, HTML or terminals.

Sentences are plain strings; `strong` and `code` mark parts of them with characters of Unicode's
private area, and each renderer escapes everything else. Text of users goes through `text`, which
takes such characters and all control characters out, so it can be nothing but text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

STRONG = "\ue000", "\ue001"
CODE = "\ue002", "\ue003"

_INVISIBLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ue000-\uf8ff\ufff9-\uffff]+"
)
_SURROGATES = re.compile("[\ud800-\udfff]")


def text(value: object) -> str:
    r"""User text on one line, without control, direction and private characters.

    >>> text("sky\x1b[31m\u202e")
    'sky [31m'
    """
    return _SURROGATES.sub("\ufffd", _INVISIBLE.sub(" ", str(value))).strip()


def strong(value: str) -> str:
    """A part of a sentence that matters."""
    return f"{STRONG[0]}{value}{STRONG[1]}"


def code(value: object) -> str:
    """User text that is typed or a file's name."""
    return f"{CODE[0]}{text(value)}{CODE[1]}"


def anchor(title: str) -> str:
    """A name to link to, of letters, digits and hyphens."""
    words = re.findall(r"[a-z0-9]+", title.lower())
    return "-".join(words) or "section"


@dataclass(frozen=True, slots=True)
class Heading:
    """A title; level 2 is a section's, 3 a part's."""

    title: str
    level: int = 2


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A few sentences; a `note` warns of something beside the numbers."""

    sentences: str
    note: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """A list item with items of its own below it."""

    sentences: str
    below: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table; its first `left` columns are words, the others numbers.

    Attributes:
        header: titles of the columns.
        rows: cells, as many as the header has.
        left: columns of words at the left.
        right: columns of words at the right.
        caption: what it shows, for readers who hear it.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: int = 1
    caption: str = ""
    right: int = 0

    def of_words(self, column: int) -> bool:
        """Whether a column holds words and starts at its left."""
        return column < self.left or column >= len(self.header) - self.right


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure by the name of its file below `figures/`, without suffix.

    Attributes:
        name: of the file.
        about: what it shows, in words, for those who do not see it.
        caption: how to read it.
        kind: `svg` or `jpg`, what is shown in the report.
    """

    name: str
    about: str
    caption: str = ""
    kind: str = "svg"


@dataclass(frozen=True, slots=True)
class Fold:
    """Blocks that a reader may leave closed."""

    summary: str
    blocks: tuple[Block, ...]


Block: TypeAlias = "Heading | Paragraph | Items | Table | Picture | Fold"


@dataclass(frozen=True)
class Document:
    """A report.

    Attributes:
        title: of the whole.
        lead: what it is about, in a sentence or two.
        blocks: in reading order.
    """

    title: str
    lead: str
    blocks: tuple[Block, ...] = field(default=())

    def pictures(self) -> Iterator[Picture]:
        """Every picture, folded ones included."""
        return _pictures(self.blocks)


def _pictures(blocks: Sequence[Block]) -> Iterator[Picture]:
    for block in blocks:
        if isinstance(block, Picture):
            yield block
        elif isinstance(block, Fold):
            yield from _pictures(block.blocks)


def note(sentences: str) -> Paragraph:
    """A paragraph that warns."""
    return Paragraph(sentences, note=True)


def items(*sentences: str) -> Items:
    """A flat list."""
    return Items(tuple(Item(each) for each in sentences))


def table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    left: int = 1,
    caption: str = "",
    right: int = 0,
) -> Table:
    """A table of finished cells."""
    return Table(tuple(header), tuple(tuple(row) for row in rows), left, caption, right)
