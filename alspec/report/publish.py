"""Brings results, guide and report together: the files of a study's folder."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from pathlib import Path

from alspec.plan.dag import Plan
from alspec.recommend.advise import advice_of_setting
from alspec.recommend.departures import authors_code, departures, notes
from alspec.recommend.match import comparable_rows, paper_setting
from alspec.report.album import Album
from alspec.report.document import Document
from alspec.report.findings import read_findings
from alspec.report.guidance import Guidance
from alspec.report.html import to_html
from alspec.report.markdown import to_markdown
from alspec.report.paper_comparison import PaperFigures
from alspec.report.study_report import study_report
from alspec.report.terminal import to_text
from alspec.report.up_to_date import input_digest_of, is_up_to_date, record_published
from alspec.results.leaks import read_leaks
from alspec.results.pools import read_pools
from alspec.results.selection_files import write_selections
from alspec.results.table import Results, collect, write_tables
from alspec.store.drafts import sweep
from alspec.store.study_folder import StudyFolder
from alspec.store.turns import own_turn
from alspec.system import failpoints
from alspec.system.atomic import write_bytes, write_text


def publish(plan: Plan, folder: StudyFolder) -> Path:
    """Write tables, selections, figures and reports of what is finished; the path of report.md.

    Raises:
        StoreError: an artifact is corrupt.
    """
    sweep(folder.root, "**/*")
    input_digest = input_digest_of(plan, folder)
    failpoints.at("publish.tables", folder.root)
    write_selections(plan, folder)
    document, album = document_of(plan, folder, write_tables(plan, folder))
    failpoints.at("publish.figures", folder.figures)
    folder.figures.mkdir(parents=True, exist_ok=True)
    files = album.draw()
    for name, data in files.items():
        write_bytes(folder.figures / name, data, synced=False)
    _remove_old(folder, files)
    failpoints.at("publish.report", folder.report)
    write_text(folder.report_html, to_html(document, files))
    write_text(folder.report, to_markdown(document))
    record_published(input_digest, folder)
    return folder.report


def document_of(plan: Plan, folder: StudyFolder, results: Results) -> tuple[Document, Album]:
    """The report of a study's finished steps, and its figures, not drawn yet.

    Args:
        plan: the study, expanded.
        folder: where its store is.
        results: what is finished of it.
    """
    findings = read_findings(
        plan,
        folder.store,
        results,
        list(guidance_for(plan, folder)),
        list(figures_for(plan)),
        read_leaks(folder),
    )
    album = Album()
    return study_report(findings, album), album


def text_of(plan: Plan, folder: StudyFolder) -> str:
    """The report of what is finished as plain text, for a terminal; writes nothing."""
    return to_text(document_of(plan, folder, collect(plan, folder.store))[0])


def _remove_old(folder: StudyFolder, files: Collection[str]) -> None:
    """Remove figures that the report no longer shows."""
    for path in folder.figures.iterdir():
        if path.suffix in (".svg", ".png", ".jpg") and path.name not in files:
            path.unlink(missing_ok=True)


def publish_what_changed(plan: Plan, folder: StudyFolder) -> Path:
    """`publish`, unless its files are as written from the same finished steps.

    Of many runs that end at once, one publishes; the others wait for it and find it done.

    Args:
        plan: the study, expanded.
        folder: where its files go; the finished steps in its store have been verified.

    Returns:
        The path of the report.
    """
    if _is_published(plan, folder):
        return folder.report
    name = f"report-{hashlib.sha256(folder.study.encode()).hexdigest()[:16]}"
    with own_turn(folder.store.folders.leases, name) as waited:
        if waited and _is_published(plan, folder):
            return folder.report
        return publish(plan, folder)


def _is_published(plan: Plan, folder: StudyFolder) -> bool:
    """Whether all is up to date; then what killed runs left half written is removed."""
    if not is_up_to_date(input_digest_of(plan, folder), folder):
        return False
    sweep(folder.root, "**/*")
    return True


def guidance_for(plan: Plan, folder: StudyFolder) -> Iterator[Guidance]:
    """What the guide says of each setting whose pool has been measured."""
    pools = read_pools(plan, folder.store)
    for setting in plan.settings:
        facts = pools.get(setting.pool_step)
        if facts is None or facts.redundancy is None:
            continue
        for entry in advice_of_setting(setting, facts.redundancy).entries:
            yield Guidance(
                dataset=setting.dataset,
                budget=setting.budget,
                redundancy=entry.redundancy,
                budget_level=entry.budget,
                ssl=entry.ssl,
                family=entry.family,
                use_ssl=entry.use_ssl,
                label=entry.label,
                methods=entry.methods,
                evidence=entry.summary,
                caveats=entry.caveats,
            )


def figures_for(plan: Plan) -> Iterator[PaperFigures]:
    """What the paper prints for each setting that it has too."""
    study = plan.study
    datasets = {dataset.name: dataset for dataset in study.datasets}
    for setting in plan.settings:
        dataset = datasets[setting.dataset]
        budgets = dataset.budgets or study.budgets
        budget = next(budget for budget in budgets if budget.name == setting.budget)
        paper = paper_setting(dataset, setting, budget)
        if paper is None:
            continue
        rows = comparable_rows(study, paper)
        yield PaperFigures(
            dataset=setting.dataset,
            budget=setting.budget,
            source=paper.source,
            miou_at=paper.miou_at,
            auc_at=paper.rows()[0].auc_at,
            auc_factor=paper.rows()[0].auc_factor,
            figures={key: (row.miou, row.auc_printed) for key, row in rows.items()},
            departures=departures(study, dataset, paper),
            notes=(*notes(dataset, setting, paper), *authors_code(study, dataset)),
        )
