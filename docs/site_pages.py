"""MkDocs hook: the pages of this folder, and a reference that is made from the code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

HERE = Path(__file__).parent
PARTS = "evidence"
"""The folder of what docs/evidence.md is made of."""
REST = "..."
"""In `nav`: every page that nothing else in it names."""


def on_config(config: Any) -> Any:
    """The documents lie beside `mkdocs.yml`; patterns in `nav` become the pages that fit."""
    config.docs_dir = str(HERE)
    config.nav = _expanded(config.nav)
    config.watch.append(str(HERE))
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add what the code says of itself."""
    import sys

    sys.path.insert(0, str(HERE))
    try:
        from reference_pages import PAGES
    finally:
        sys.path.remove(str(HERE))
    for name, render in PAGES.items():
        files.append(File.generated(config, f"reference/{name}.md", content=render()))
    return files


def _expanded(nav: list[Any]) -> list[Any]:
    """The navigation with its patterns replaced by the pages that fit."""
    pages = (path.relative_to(HERE) for path in HERE.rglob("*.md"))
    every = sorted(path.as_posix() for path in pages if path.parts[0] != PARTS)
    named = {page for entry in _leaves(nav) for page in _matching(entry, every)}

    def shown(entry: Any) -> list[Any]:
        if isinstance(entry, dict):
            ((title, inner),) = entry.items()
            leaf = isinstance(inner, str)
            return [{title: inner if leaf else [page for each in inner for page in shown(each)]}]
        if entry == REST:
            return [page for page in every if page not in named]
        return _matching(entry, every)

    return [page for entry in nav for page in shown(entry)]


def _leaves(nav: Any) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
        return
    for entry in nav.values() if isinstance(nav, dict) else nav:
        yield from _leaves(entry)


def _matching(entry: str, every: list[str]) -> list[str]:
    if entry.endswith("/*"):
        return [page for page in every if page.startswith(entry[:-1])]
    return [entry]
