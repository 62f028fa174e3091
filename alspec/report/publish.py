"""Brings results, guide and report together: the files of a study's folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from alspec.plan.dag import Plan
from alspec.recommend.advise import advice_of_setting
from alspec.recommend.departures import departures, notes
from alspec.recommend.match import comparable_rows, paper_setting
from alspec.report.guidance import Guidance
from alspec.report.markdown import write_report
from alspec.report.paper_comparison import PaperFigures
from alspec.report.up_to_date import input_digest_of, is_up_to_date, record_published
from alspec.results.pools import read_pools
from alspec.store.drafts import sweep
from alspec.store.study_folder import StudyFolder


def publish(plan: Plan, folder: StudyFolder) -> Path:
    """Write tables, selections, figures and report of what is finished; the path of the report."""
    sweep(folder.root, "**/*")
    input_digest = input_digest_of(plan, folder)
    written = write_report(plan, folder, list(guidance_for(plan, folder)), list(figures_for(plan)))
    record_published(input_digest, folder)
    return written


def publish_what_changed(plan: Plan, folder: StudyFolder) -> Path:
    """`publish`, unless its files stand as they were written from the same finished steps.

    Args:
        plan: the study, expanded.
        folder: where its files go; the finished steps in its store have been verified.

    Returns:
        The path of the report.
    """
    if is_up_to_date(input_digest_of(plan, folder), folder):
        sweep(folder.root, "**/*")
        return folder.report
    return publish(plan, folder)


def guidance_for(plan: Plan, folder: StudyFolder) -> Iterator[Guidance]:
    """What the guide says of each setting whose pool has been measured."""
    pools = read_pools(plan, folder.store)
    for setting in plan.settings:
        facts = pools.get(setting.pool_step)
        if facts is None or facts.redundancy not in ("low", "high"):
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
            notes=tuple(notes(dataset, setting, paper)),
        )
