"""The report of a study, finished or not, as a document."""

from __future__ import annotations

from alspec import __version__
from alspec.report.across_settings import across_section, labels_section, redundancy_section
from alspec.report.album import Album
from alspec.report.classes_section import classes_section
from alspec.report.conditions import progress_sentence, settings_section, unfinished_section
from alspec.report.costs import repeat_section, time_section
from alspec.report.document import Block, Document, Heading, Item, Items, text
from alspec.report.findings import Findings
from alspec.report.guidance import guide_section
from alspec.report.looks_section import looks_section
from alspec.report.paper_comparison import against_section
from alspec.report.phrases import counted, seeds_phrase
from alspec.report.selection_section import selection_section
from alspec.report.setting_results import MOST_VERDICTS, results_section, title_of
from alspec.report.training_section import training_section
from alspec.report.verdict import leaders_table, sentences_of

COMMAND = "alspec run spec.yaml --work-dir .."
"""Runs a study again from its own folder; it names no path of any machine."""


def study_report(
    findings: Findings, album: Album, *, command: str = COMMAND, version: str = __version__
) -> Document:
    """The whole report.

    Args:
        findings: what it is written from.
        album: is given its figures.
        command: what runs the study again, from its folder.
        version: alspec's.
    """
    compared = findings.compared
    sections = [
        _headline(findings),
        results_section(findings, album),
        across_section(findings),
        labels_section(findings, album),
        redundancy_section(findings, album),
        classes_section(findings, album),
        guide_section(compared, findings.guidance, findings.s4gan_idle),
        against_section(compared, findings.paper),
        selection_section(findings, album),
        looks_section(findings, album),
        training_section(findings, album),
        settings_section(findings.plan, compared, findings.pools, findings.leaks),
        unfinished_section(findings.plan, findings.results, command),
        time_section(findings.results, album),
        repeat_section(command, version, findings.versions),
    ]
    blocks = tuple(block for section in sections for block in section)
    return Document(text(findings.plan.study.study), _lead(findings), blocks)


def _lead(findings: Findings) -> str:
    study = findings.plan.study
    arms = {True: "with s4GAN (SSL)", False: "without SSL"}
    ssl = " and ".join(arms[arm] for arm in sorted(set(study.ssl)))
    about = (
        f"This study compares {counted(len(study.methods), 'acquisition method')}, {ssl}, in "
        f"{counted(len(findings.plan.settings), 'setting')} over {seeds_phrase(study.seeds)}."
    )
    return " ".join(filter(None, [about, progress_sentence(findings.plan, findings.results)]))


def _headline(findings: Findings) -> list[Block]:
    """What to do, before everything else."""
    compared = findings.compared
    if len(compared) > MOST_VERDICTS:
        return [Heading("In short"), *leaders_table([(title_of(c), c) for c in compared])]
    listed = ((title_of(comparison), *sentences_of(comparison)) for comparison in compared)
    return [
        Heading("In short"),
        Items(tuple(Item(f"{title}: {first}", tuple(rest)) for title, first, *rest in listed)),
    ]
