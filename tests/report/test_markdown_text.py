import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alspec.report.markdown_text import code, counted, listed, over_seeds, percent, table, text

PAYLOADS = [
    "<script>alert(1)</script>", "a|b", "`code`", "[x](javascript:alert(1))", "![x](http://e.x/y)",
    "line\nbreak", "carriage\r\nreturn", "**bold**", "_it_", "&lt;", "\\|", "a\u2028b", "\x00",
    "~~gone~~", "$x$", "\u202eflip",
]  # fmt: skip


@pytest.mark.parametrize("payload", PAYLOADS)
def test_user_text_stays_in_its_cell(payload):
    shown = table(["Class", "IoU"], [[text(payload), "1"]])
    assert len(shown.splitlines()) == 3
    row = shown.splitlines()[2]
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
    assert unescaped(text(value)) == value.strip()


def test_names_keep_their_underscores():
    assert text("deeplabv3plus_wrn38") == "deeplabv3plus_wrn38"


@pytest.mark.parametrize(
    ("value", "shown"),
    [("a b", "`a b`"), ("a`b", "``a`b``"), ("`a", "`` `a ``"), ("a\nb", "`a b`")],
)
def test_code_cannot_be_left(value, shown):
    assert code(value) == shown


def test_numbers_over_seeds():
    assert over_seeds([60.0, 62.0, 64.0], 3) == "62.00 ± 2.00"
    assert over_seeds([60.0], 1) == "60.00"
    assert over_seeds([60.0, 62.0], 3) == "61.00 ± 1.41 (2 of 3 seeds)"
    assert over_seeds([], 3) == "–"


def test_small_words():
    assert [percent(p) for p in (30.0, 7.5, 2.4916, 100.0)] == ["30", "7.5", "2.49", "100"]
    assert [counted(n, "image") for n in (1, 1200)] == ["1 image", "1,200 images"]
    assert [listed(items) for items in (["a"], ["a", "b"], ["a", "b", "c"])] == [
        "a", "a and b", "a, b and c",
    ]  # fmt: skip
    assert over_seeds([math.nan], 1) == "–"
