"""The HTML report is one file that runs nothing, fetches nothing and shows user text as text."""

import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from itertools import pairwise

import factories.study
import pytest
from factories.reports import document_of
from factories.study import MadeStudy
from markdown_it import MarkdownIt

from alspec.report.document import (
    Document,
    Fold,
    Heading,
    Item,
    Items,
    Paragraph,
    Picture,
    code,
    strong,
    table,
    text,
)
from alspec.report.html import to_html
from alspec.report.markdown import to_markdown
from alspec.report.notebook import html_of
from alspec.report.publish import publish
from alspec.report.terminal import to_text

PAYLOADS = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "</style><script>1</script>",
    "</title><b>", '" onload="alert(1)', "' onmouseover='x", "<svg/onload=alert(1)>",
    "javascript:alert(1)", "[a](javascript:alert(1))", "![a](http://e.x/y.png)", "<http://e.x>",
    "http://e.x/?a=b", "&lt;script&gt;", "&#60;b&#62;", "<!--", "-->", "<!--/notebook-->",
    "]]>", "<![CDATA[x]]>", "a|b|c", "`x`", "**b**", "# h", "- li", "1. li", "> q", "```",
    "\x1b[31mred\x1b]0;t\x07", "\x1b]8;;http://e.x\x07l", "a\nb\r\nc", "\u202eabc", "\x00\x9b31m",
    "\ue001x\ue000", "=cmd()", "{{7*7}}", "${HOME}", "[x]: http://e.x", "<a href=x>", "\\", "$e^x$",
]  # fmt: skip
TAGS = {
    "html", "head", "meta", "title", "style", "body", "header", "nav", "main", "section", "h1",
    "h2", "h3", "p", "ul", "li", "a", "strong", "code", "div", "table", "thead", "tbody", "tr",
    "th", "td", "figure", "figcaption", "details", "summary", "img", "svg", "g", "defs", "path",
    "use", "text", "clippath", "rect", "tspan",
}  # fmt: skip
VOID = {"meta", "img"}


class Page(HTMLParser):
    """What a browser would make of a page: its elements, its attributes, its text."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.ids, self.said, self.open = set(), [], [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.said.append(data)


def checked(page):
    """The page, after everything that must hold of every page."""
    found = Page(page)
    assert found.open == []
    assert found.tags <= TAGS
    assert len(found.ids) == len(set(found.ids))
    for tag, name, value in found.attributes:
        assert not name.startswith("on")
        assert name != "style"
        if name in ("href", "src"):
            assert value.startswith("#" if name == "href" else "data:image/jpeg;base64,")
            if name == "href":
                assert value[1:] in found.ids
        assert "url(" not in value or re.fullmatch(r"url\(#[\w-]+\)", value), (tag, name, value)
    sheet = page.partition("<style>")[2].partition("</style>")[0]
    assert "url(" not in sheet
    assert "@import" not in sheet
    assert len(page.encode()) <= 5_000_000
    return found


def holding(payload):
    """A document with a payload in every kind of block."""
    said = text(payload)
    blocks = (
        Heading("In short"), Paragraph(said), Paragraph(strong(said), note=True),
        Heading(said, 3), Items((Item(said, (code(payload),)),)),
        table((said, "b"), ((said, code(payload)),), caption=said),
        Picture("f", said, said), Picture("g", said, said, "jpg"),
        Heading(said), Fold(said, (Paragraph(said),)),
    )  # fmt: skip
    return Document(said, said, blocks)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_payloads_are_inert_in_html(payload):
    files = {"f.svg": b'<svg xmlns="http://www.w3.org/2000/svg"><g/></svg>', "g.jpg": b"jpg"}
    found = checked(to_html(holding(payload), files))
    if text(payload):
        assert sum(text(payload) in said for said in found.said) >= 9


@pytest.mark.parametrize("payload", PAYLOADS)
def test_payloads_are_inert_in_markdown(payload):
    tokens = (
        MarkdownIt("commonmark", {"html": True})
        .enable("table")
        .parse(to_markdown(holding(payload)))
    )
    inside = [child for token in tokens for child in token.children or []]
    kinds = {token.type for token in (*tokens, *inside)}
    assert not kinds & {"html_inline", "html_block", "link_open", "fence", "code_block", "hr",
                        "ordered_list_open"}  # fmt: skip
    images = [token.attrs["src"] for token in inside if token.type == "image"]
    assert images == ["figures/f.svg", "figures/g.jpg"]
    assert sum(token.type == "heading_open" for token in tokens) == 4
    assert sum(token.type == "tr_open" for token in tokens) == 2
    assert sum(token.type == "list_item_open" for token in tokens) == 2


@pytest.mark.parametrize("payload", PAYLOADS)
def test_payloads_are_inert_in_a_terminal(payload):
    shown = to_text(holding(payload))
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)
    assert len(shown.splitlines()) < 60


@pytest.mark.parametrize("start", range(0, len(PAYLOADS), 5))
def test_class_names_of_any_kind_are_inert_in_a_whole_report(tmp_path, monkeypatch, start):
    names = tuple(PAYLOADS[start : start + 5])
    monkeypatch.setattr(factories.study, "CLASSES", names)
    made = MadeStudy(
        methods=("random", "entropy"), ssl=(False,), seeds=(0,), full=False, pool_images=40,
        listed=True,
    )  # fmt: skip
    document, album = document_of(made, made.in_folder(tmp_path).store)
    files = album.draw()
    assert "camvid_10-10_bought.svg" in files
    for name in (name for name in files if name.endswith(".svg")):
        ElementTree.fromstring(files[name])
    found = checked(to_html(document, files))
    assert all(any(text(name) in said for said in found.said) for name in names)


def test_a_whole_report_is_whole(tmp_path):
    made = MadeStudy(
        methods=("random", "entropy", "coreset"), dropout=("random", "bald"), seeds=(0, 1, 2)
    )
    folder = made.in_folder(tmp_path)
    publish(made.plan, folder)
    page = folder.report_html.read_text("utf-8")
    found = checked(page)
    pictures = list((folder.root / "figures").glob("*.svg"))
    assert page.count("<svg ") == len(pictures) >= 8
    assert page.count("<figure>") == len(pictures)
    for private in (str(tmp_path), "/secret", "camvid-host"):
        assert private not in page
    headings = re.findall(r"<h([1-6])", page)
    assert headings[0] == "1"
    assert all(int(b) - int(a) <= 1 for a, b in pairwise(headings))
    assert "nan" not in " ".join(found.said).split()


def test_a_notebook_shows_headline_and_curves(tmp_path):
    made = MadeStudy(methods=("random", "entropy"), seeds=(0,))
    folder = made.in_folder(tmp_path)
    assert html_of(folder.root) == "<p>No report yet.</p>"
    publish(made.plan, folder)
    shown = html_of(folder.root)
    assert "No decision." in shown
    assert shown.count("<svg ") == 1
    assert Page(shown).open == []
    assert "<style" not in shown


def test_text_tables_are_aligned():
    shown = to_text(Document("t", "", (table(("Klasse", "IoU"), (("空", "1"), ("road", "100"))),)))
    assert shown.splitlines()[3:] == ["Klasse  IoU", "------  ---", "空        1", "road    100"]


def test_text_is_wrapped():
    shown = to_text(Document("t", "word " * 60, (Items((Item("word " * 60),)),)), width=40)
    assert max(map(len, shown.splitlines())) <= 40
