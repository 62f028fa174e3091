"""MkDocs hook: the pages of this folder, and a reference that is made from the code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

HERE = Path(__file__).parent


def on_config(config: Any) -> Any:
    """The documents lie beside `mkdocs.yml`; patterns in `nav` become the pages that fit."""
    config.docs_dir = str(HERE)
    config.nav = list(_expanded(config.nav))
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


def _expanded(nav: list[Any]) -> Any:
    for entry in nav:
        if isinstance(entry, dict):
            ((title, inner),) = entry.items()
            yield {title: inner if isinstance(inner, str) else list(_expanded(inner))}
        elif entry.endswith("/*"):
            pages = sorted(HERE.glob(f"{entry}.md"))
            yield from (path.relative_to(HERE).as_posix() for path in pages)
        elif (HERE / entry).is_file() or entry.startswith("reference/"):
            yield entry
