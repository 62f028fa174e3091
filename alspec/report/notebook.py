"""What a notebook shows of a study: its report's headline and curves, from the study's folder."""

from __future__ import annotations

import re
from pathlib import Path

_START, _END = "<!--notebook-->", "<!--/notebook-->"
_PARTS = re.compile(f"{_START}(.*?){_END}", re.DOTALL)

MOST_PARTS = 6
"""Title, headline and the first curves; the rest is in the report."""


def html_of(folder: Path | str) -> str:
    """The parts of a published report.html that a notebook's cell shows.

    Args:
        folder: of the study, as `work_dirs/quickstart`.

    Returns:
        HTML without script, style sheet or link; a sentence where no report was written yet.
    """
    try:
        page = (Path(folder) / "report.html").read_text("utf-8")
    except (OSError, ValueError):
        page = ""
    parts = _PARTS.findall(page)[:MOST_PARTS]
    return f"<div>{''.join(parts)}</div>" if parts else "<p>No report yet.</p>"


def marked(part: str) -> str:
    """A part of a page that `html_of` finds again; user text has no comments, as `<` is escaped."""
    return f"{_START}{part}{_END}"
