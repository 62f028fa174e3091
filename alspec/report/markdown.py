"""A document as markdown that shows user text as it is, whatever is in it."""

from __future__ import annotations

import re

from alspec.report.document import (
    CODE,
    STRONG,
    Document,
    Heading,
    Items,
    Paragraph,
    Picture,
    Table,
)
from alspec.report.renderer import Renderer

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_SPECIAL = re.compile(r"[\\`*\[\]|~$#]|!(?=\[)|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_CODE_SPAN = re.compile(f"{CODE[0]}([^{CODE[1]}]*){CODE[1]}")
_STARTS_A_BLOCK = re.compile(r"^(?:([-+=])|(\d{1,9})([.)]))(?=\s|$|[-=])")
_LINKS_ITSELF = re.compile(
    r"(?i)\b(https?|ftp|mailto)(:)|\b(www)(\.)|([\w.+-])(@)(?=[\w-]+\.[A-Za-z])"
)
_MENTION = re.compile(r"(?<![A-Za-z0-9.+_-])@(?=[A-Za-z0-9])")
"""`@name`, which code hosts take for a person to notify."""


def to_markdown(document: Document) -> str:
    """The document as markdown; pictures are linked below `figures/`."""
    parts = [f"# {inline(document.title)}", _line(document.lead)]
    return "\n\n".join(filter(None, [*parts, *_Markdown().blocks(document.blocks)])) + "\n"


def inline(sentences: str) -> str:
    """Sentences as inline markdown, also in a table cell."""
    out, end = [], 0
    for found in _CODE_SPAN.finditer(sentences):
        out += [_prose(sentences[end : found.start()]), _code(found[1])]
        end = found.end()
    out.append(_prose(sentences[end:]))
    return "".join(out)


def _line(sentences: str) -> str:
    """A paragraph's only line: it starts no list, whatever its first word is."""
    shown = inline(sentences)
    return _STARTS_A_BLOCK.sub(
        lambda found: f"\\{found[1]}" if found[1] else f"{found[2]}\\{found[3]}", shown
    )


def _prose(sentences: str) -> str:
    escaped = _SPECIAL.sub(lambda found: "\\" + found[0], sentences)
    escaped = re.sub("[&<>]", lambda found: _ENTITIES[found[0]], escaped)
    escaped = _LINKS_ITSELF.sub(_unlinked, escaped)
    escaped = _MENTION.sub("@<!-- -->", escaped)
    return escaped.replace(STRONG[0], "**").replace(STRONG[1], "**")


def _unlinked(found: re.Match[str]) -> str:
    """An address whose `:`, `.` or `@` is an entity, which no viewer turns into a link."""
    before, sign = next((found[k], found[k + 1]) for k in (1, 3, 5) if found[k])
    return f"{before}&#{ord(sign)};"


def _code(value: str) -> str:
    """A code span that its text cannot leave; in a table, too."""
    fence = "`"
    while fence in value:
        fence += "`"
    pad = " " if value.startswith("`") or value.endswith("`") else ""
    return f"{fence}{pad}{value}{pad}{fence}"


class _Markdown(Renderer):
    """Blocks as markdown."""

    def heading(self, block: Heading) -> str:
        return f"{'#' * block.level} {inline(block.title)}"

    def paragraph(self, block: Paragraph) -> str:
        return f"> {_line(block.sentences)}" if block.note else _line(block.sentences)

    def items(self, block: Items) -> str:
        lines = []
        for item in block.items:
            lines.append(f"- {_line(item.sentences)}")
            lines += [f"  - {_line(each)}" for each in item.below]
        return "\n".join(lines)

    def table(self, block: Table) -> str:
        aligned = [":--" if block.of_words(k) else "--:" for k in range(len(block.header))]
        rows = [[_cell(cell) for cell in row] for row in (block.header, *block.rows)]
        return "\n".join(f"| {' | '.join(row)} |" for row in (rows[0], aligned, *rows[1:]))

    def picture(self, block: Picture) -> str:
        shown = f"![{inline(block.about)}](figures/{block.name}.{block.kind})"
        return f"{shown}\n\n{_line(block.caption)}" if block.caption else shown


def _cell(cell: str) -> str:
    """In a table even code is split at a bar, so there it is shown as prose."""
    return inline(cell.replace(CODE[0], "").replace(CODE[1], "") if "|" in cell else cell)
