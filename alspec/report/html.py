"""A document as one HTML file: no script, no network, readable without its style sheet."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import groupby

from alspec.report.document import (
    CODE,
    STRONG,
    Block,
    Document,
    Fold,
    Heading,
    Items,
    Paragraph,
    Picture,
    Table,
    anchor,
)
from alspec.report.figures.svg import inline_svg
from alspec.report.html_style import STYLE_SHEET
from alspec.report.notebook import marked
from alspec.report.renderer import Renderer

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'"
"""Content security policy: whatever got in, nothing runs and nothing is fetched."""

_MARKS = {
    STRONG[0]: "<strong>", STRONG[1]: "</strong>", CODE[0]: "<code>", CODE[1]: "</code>",
}  # fmt: skip
_PAIRS = re.compile(
    f"{STRONG[0]}([^\ue000-\ue003]*){STRONG[1]}|{CODE[0]}([^\ue000-\ue003]*){CODE[1]}"
)
_PERCENT = re.compile(r"(?<=\d) %")
"""A number and its percent sign stay on one line."""

_ODD = re.compile("[\ue000-\ue003]")


def to_html(document: Document, files: Mapping[str, bytes]) -> str:
    """The document as a page.

    Args:
        document: what to show.
        files: the bytes of its pictures by file name, as `Album.draw` gives them.
    """
    return "".join(_Page(files).page(document))


def inline(sentences: str) -> str:
    """Sentences as inline HTML; marks that do not pair are dropped."""
    marked = _PAIRS.sub(_element, escape(sentences, quote=True))
    return _PERCENT.sub("&nbsp;%", _ODD.sub("", marked))


def _element(found: re.Match[str]) -> str:
    strong = found[1] is not None
    opening, closing = STRONG if strong else CODE
    return f"{_MARKS[opening]}{found[1] if strong else found[2]}{_MARKS[closing]}"


def plain(sentences: str) -> str:
    """Sentences for an attribute."""
    return escape(_ODD.sub("", sentences), quote=True)


@dataclass
class _Page(Renderer):
    """One page; keeps the names of its anchors apart."""

    files: Mapping[str, bytes]
    _taken: dict[str, int] = field(default_factory=dict)
    _figures: int = 0

    def page(self, document: Document) -> Iterator[str]:
        title = plain(document.title)
        sections = [
            (heading, self._anchor(heading.title), blocks)
            for heading, blocks in _sections(document.blocks)
        ]
        yield (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<meta name="color-scheme" content="light dark">\n'
            f"<title>{title}: active-learning study</title>\n"
            f"<style>\n{STYLE_SHEET}</style>\n</head>\n<body>\n"
            + marked(
                f"<header>\n<h1>{inline(document.title)}</h1>\n"
                f"<p>{inline(document.lead)}</p>\n</header>\n"
            )
        )
        links = "".join(
            f'<li><a href="#{name}">{inline(heading.title)}</a></li>'
            for heading, name, _ in sections
        )
        yield f'<nav aria-label="Contents">\n<ul>{links}</ul>\n</nav>\n<main>\n'
        for rank, (heading, name, blocks) in enumerate(sections):
            shown = (
                f'<section aria-labelledby="{name}">\n'
                f'<h2 id="{name}">{inline(heading.title)}</h2>\n'
                f"{''.join(self.blocks(blocks))}</section>\n"
            )
            yield marked(shown) if rank == 0 else shown
        yield "</main>\n</body>\n</html>\n"

    def blocks(self, blocks: Sequence[Block]) -> Iterator[str]:
        for pictured, group in groupby(blocks, key=lambda block: isinstance(block, Picture)):
            shown = [self.block(block) for block in group]
            if pictured:
                yield f'<div class="pictures">\n{"".join(shown)}</div>\n'
            else:
                yield from shown

    def heading(self, block: Heading) -> str:
        name = self._anchor(block.title)
        return f'<h{block.level} id="{name}">{inline(block.title)}</h{block.level}>\n'

    def paragraph(self, block: Paragraph) -> str:
        kind = ' class="note" role="note"' if block.note else ""
        return f"<p{kind}>{inline(block.sentences)}</p>\n"

    def items(self, block: Items) -> str:
        shown = []
        for item in block.items:
            below = "".join(f"<li>{inline(each)}</li>" for each in item.below)
            nested = f"<ul>{below}</ul>" if below else ""
            shown.append(f"<li>{inline(item.sentences)}{nested}</li>\n")
        return f"<ul>\n{''.join(shown)}</ul>\n"

    def table(self, block: Table) -> str:
        label = plain(block.caption or " and ".join(block.header[:2]))
        head = "".join(
            _cell("th", k, block, cell, ' scope="col"') for k, cell in enumerate(block.header)
        )
        rows = "".join(
            "<tr>" + "".join(_body_cell(k, block, cell) for k, cell in enumerate(row)) + "</tr>\n"
            for row in block.rows
        )
        return (
            f'<div class="scroll" role="region" tabindex="0" aria-label="Table: {label}">\n'
            f'<table border="1" cellpadding="4">\n<thead>\n<tr>{head}</tr>\n</thead>\n'
            f"<tbody>\n{rows}</tbody>\n</table>\n</div>\n"
        )

    def picture(self, block: Picture) -> str:
        data = self.files.get(f"{block.name}.{block.kind}")
        if data is None:
            return ""
        self._figures += 1
        if block.kind == "svg":
            shown = inline_svg(data, f"f{self._figures}", plain(block.about))
        else:
            encoded = base64.b64encode(data).decode()
            source = f"data:image/jpeg;base64,{encoded}"
            shown = f'<img alt="{plain(block.about)}" width="360" src="{source}">'
        caption = f"<strong>{inline(block.about)}.</strong> {inline(block.caption)}".strip()
        figure = f"<figure>\n{shown}\n<figcaption>{caption}</figcaption>\n</figure>\n"
        return marked(figure) if "_curves" in block.name else figure

    def fold(self, block: Fold) -> str:
        inside = "".join(self.blocks(block.blocks))
        return f"<details>\n<summary>{inline(block.summary)}</summary>\n{inside}</details>\n"

    def _anchor(self, title: str) -> str:
        name = anchor(title)
        self._taken[name] = self._taken.get(name, 0) + 1
        return name if self._taken[name] == 1 else f"{name}-{self._taken[name]}"


def _sections(blocks: Sequence[Block]) -> list[tuple[Heading, list[Block]]]:
    found: list[tuple[Heading, list[Block]]] = []
    for block in blocks:
        if isinstance(block, Heading) and block.level == 2:
            found.append((block, []))
        elif found:
            found[-1][1].append(block)
    return found


def _body_cell(column: int, block: Table, cell: str) -> str:
    if column == 0:
        return _cell("th", column, block, cell, ' scope="row"')
    return _cell("td", column, block, cell)


def _cell(tag: str, column: int, block: Table, cell: str, more: str = "") -> str:
    side = "left" if block.of_words(column) else "right"
    return f'<{tag}{more} align="{side}">{inline(cell)}</{tag}>'
