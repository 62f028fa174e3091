"""Text from specs, files and packages made harmless where it is shown: terminals, tables, messages.

Pure functions. A name may hold anything: escape sequences that a terminal carries out, characters
that turn the direction of the line, formulas that a spreadsheet computes, bytes that are no text.
"""

from __future__ import annotations

import codecs
import re

_HARMFUL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
"""Control characters but line feed and tab, what is invisible or turns the direction, and what a
file's name holds that is no text."""

_FORMULA = re.compile(r"[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")

PLAIN = {
    "✓": "+", "✗": "x", "●": "#", "○": ".", "±": "+-", "–": "-", "—": "-", "×": "x", "…": "...",
    "≤": "<=", "≥": ">=", "→": "->", "“": '"', "”": '"', "’": "'", "·": "-", "⚠": "!", "│": "|",
    "━": "-", "╸": "-", "╺": "-",
}  # fmt: skip
"""Replacement for a sign where the output has no such character."""

ERRORS = "alspec.plain"
"""Name of the handler that `register_plain_output` makes known to Python's codecs."""


def printable(text: str) -> str:
    r"""Text whose harmful characters are written out; line feeds and tabs stay.

    >>> printable("a\x1b[31mb")
    'a\\x1b[31mb'
    """
    return _HARMFUL.sub(_written_out, text)


def table_cell(text: str) -> str:
    """Text that no spreadsheet computes: `=1+1` becomes `'=1+1`; numbers stay.

    >>> table_cell("=HYPERLINK(1)"), table_cell("-0.5"), table_cell("a=b")
    ("'=HYPERLINK(1)", '-0.5', 'a=b')
    """
    if _FORMULA.match(text) and not _NUMBER.fullmatch(text):
        return f"'{text}"
    return text


def register_plain_output() -> None:
    """Have streams with the errors `ERRORS` write signs that they cannot encode in plain ones."""
    codecs.register_error(ERRORS, _plain)


def _plain(err: UnicodeError) -> tuple[str, int]:
    if not isinstance(err, UnicodeEncodeError):
        raise err
    bad = err.object[err.start : err.end]
    return "".join(PLAIN.get(sign) or _escape(sign) for sign in bad), err.end


def _written_out(found: re.Match[str]) -> str:
    return _escape(found[0])


def _escape(sign: str) -> str:
    code = ord(sign)
    return (
        f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
    )
