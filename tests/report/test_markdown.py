"""User text in markdown stays the text that it is."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alspec.report.document import Document, Item, Items, Paragraph, code, strong, table, text
from alspec.report.markdown import inline, to_markdown
from alspec.report.phrases import counted, listed, over_seeds, percent, signed, with_interval

PAYLOADS = [
    "<script>alert(1)</script>", "a|b", "`code`", "[x](javascript:alert(1))", "![x](http://e.x/y)",
    "line\nbreak", "carriage\r\nreturn", "**bold**", "_it_", "&lt;", "\\|", "a\u2028b", "\x00",
    "~~gone~~", "$x$", "\u202eflip", "\ue000x\ue001",
]  # fmt: skip


@pytest.mark.parametrize("payload", PAYLOADS)
def test_user_text_stays_in_its_cell(payload):
    shown = to_markdown(Document("t", "", (table(["Class", "IoU"], [[text(payload), "1"]]),)))
    rows = [line for line in shown.splitlines() if line.startswith("| ")]
    assert len(rows) == 3
    row = rows[2]
    assert row.replace("\\\\", "").replace("\\|", "").count("|") == 3
    assert "<" not in row
    assert ">" not in row


def unescaped(shown):
    """What a markdown viewer shows for escaped text."""
    out, skip = [], False
    for char in shown:
        if char == "\\" and not skip:
            skip = True
        else:
            out.append(char)
            skip = False
    return "".join(out).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


@given(st.text(alphabet="ab_*|`<>&[]\\!$~ #", max_size=20))
@settings(max_examples=50, derandomize=True)
def test_text_shows_what_was_given(value):
    assert unescaped(inline(text(value))) == value.strip()


def test_names_keep_their_underscores():
    assert inline("deeplabv3plus_wrn38") == "deeplabv3plus_wrn38"


@pytest.mark.parametrize(
    ("value", "shown"),
    [("a b", "`a b`"), ("a`b", "``a`b``"), ("`a", "`` `a ``"), ("a\nb", "`a b`")],
)
def test_code_cannot_be_left(value, shown):
    assert inline(code(value)) == shown


@pytest.mark.parametrize("address", ["http://e.x/y", "https://e.x", "www.e.x", "me@e.x"])
def test_addresses_in_user_text_are_no_links(address):
    assert address not in inline(text(address))


@pytest.mark.parametrize("start", ["- a", "+ a", "1. a", "12) a", "= a"])
def test_a_paragraph_starts_no_list(start):
    shown = to_markdown(Document("t", "", (Paragraph(text(start)),)))
    assert shown.splitlines()[2].replace("\\", "") == start
    assert shown.splitlines()[2] != start


def test_marks_become_stars_and_lists_nest():
    shown = to_markdown(Document("t", "", (Items((Item(strong("a*b"), ("c",)),)),)))
    assert shown == "# t\n\n- **a\\*b**\n  - c\n"


def test_numbers_over_seeds():
    assert over_seeds([60.0, 62.0, 64.0], 3) == "62.00 ± 2.00"
    assert over_seeds([60.0], 1) == "60.00"
    assert over_seeds([60.0, 62.0], 3) == "61.00 ± 1.41 (2 of 3 seeds)"
    assert over_seeds([], 3) == "–"
    assert over_seeds([math.nan], 1) == "–"
    assert with_interval([60.0, 62.0, 64.0], 3) == "62.00 (57.03 to 66.97)"
    assert with_interval([60.0, 62.0], 3) == "61.00 (2 of 3 seeds)"
    assert with_interval([], 3) == "–"


def test_small_words():
    assert [percent(p) for p in (30.0, 7.5, 2.4916, 100.0)] == ["30", "7.5", "2.49", "100"]
    assert [counted(n, "image") for n in (1, 1200)] == ["1 image", "1,200 images"]
    assert [listed(items) for items in (["a"], ["a", "b"], ["a", "b", "c"])] == [
        "a", "a and b", "a, b and c",
    ]  # fmt: skip
    assert [signed(v) for v in (1.0, -1.0, -0.001, math.nan)] == ["+1.00", "-1.00", "+0.00", "–"]
