"""The report of a made-up study, without its figures being drawn."""

from __future__ import annotations

from typing import Any

from alspec.report.album import Album
from alspec.report.document import Document
from alspec.report.findings import read_findings
from alspec.report.markdown import to_markdown
from alspec.report.study_report import study_report
from alspec.results.table import collect
from alspec.store.store import Store
from factories.study import MadeStudy


def document_of(made: MadeStudy, store: Store, **options: Any) -> tuple[Document, Album]:
    """The document and its album."""
    album = Album()
    findings = read_findings(made.plan, store, collect(made.plan, store), **options)
    return study_report(findings, album, version="0.0.0"), album


def markdown_of(made: MadeStudy, store: Store, **options: Any) -> str:
    """The report as markdown."""
    return to_markdown(document_of(made, store, **options)[0])
