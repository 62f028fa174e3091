"""The study's report in markdown."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from alspec import __version__
from alspec.plan.dag import Plan, Setting
from alspec.plan.step import StepKey
from alspec.report.conditions import (
    progress_sentence,
    repeat_section,
    settings_section,
    time_section,
    unfinished_section,
)
from alspec.report.curves import draw_setting
from alspec.report.guidance import Guidance, guide_section
from alspec.report.markdown_text import UNKNOWN, counted, number, over_seeds, percent, table, text
from alspec.report.paper_comparison import PaperFigures, against_section
from alspec.report.verdict import leaders_table, seeds_phrase, verdict
from alspec.results.doubts import doubts
from alspec.results.pools import PoolFacts, read_pools
from alspec.results.standings import Comparison, Entry, class_iou, comparisons
from alspec.results.stats import mean_and_spread
from alspec.results.table import Results, write_tables
from alspec.store.study_folder import StudyFolder
from alspec.system import failpoints
from alspec.system.atomic import write_bytes, write_text

_LETTERS = {"single": "S", "batch": "B"}

_VERDICTS_IN_OPENING = 3
"""With more comparisons the report opens with a table, and each verdict stands by its numbers."""


def write_report(
    plan: Plan,
    folder: StudyFolder,
    guidance: Sequence[Guidance] = (),
    paper: Sequence[PaperFigures] = (),
) -> Path:
    """Write the tables, the figures and report.md of a study, finished or not.

    Args:
        plan: the study, expanded.
        folder: where they go.
        guidance: what the guide advises for its settings, an entry a cell of the guide.
        paper: the paper's figures for those of its settings that the paper has.

    Returns:
        The path of report.md.

    Raises:
        StoreError: an artifact is damaged.
    """
    failpoints.at("publish.tables", folder.root)
    results = write_tables(plan, folder)
    failpoints.at("publish.figures", folder.figures)
    folder.figures.mkdir(parents=True, exist_ok=True)
    for setting, group in _by_setting(comparisons(plan, results)):
        for suffix, drawn in draw_setting(group).items():
            write_bytes(folder.figures / f"{figure_name(setting)}.{suffix}", drawn)
    failpoints.at("publish.report", folder.report)
    pools = read_pools(plan, folder.store)
    command = _command(folder)
    write_text(folder.report, render(plan, results, pools, guidance, paper, command=command))
    return folder.report


def figure_name(setting: Setting) -> str:
    """The file of a setting's figure, without its suffix."""
    return f"{setting.dataset}_{setting.budget}"


def _command(folder: StudyFolder) -> str:
    words = ["alspec", "run", folder.spec.as_posix(), "--work-dir", folder.work_dir.as_posix()]
    return shlex.join(words)


def render(
    plan: Plan,
    results: Results,
    pools: Mapping[StepKey, PoolFacts],
    guidance: Sequence[Guidance] = (),
    paper: Sequence[PaperFigures] = (),
    *,
    command: str = "alspec run spec.yaml",
    version: str = __version__,
) -> str:
    """The report as markdown; it names the figures that `write_report` puts beside it.

    Args:
        plan: the study, expanded.
        results: what is finished of it.
        pools: the facts of its finished pool steps.
        guidance: what the guide advises for its settings.
        paper: the paper's figures for those of its settings that the paper has.
        command: what runs the study again.
        version: alspec's.
    """
    compared = comparisons(plan, results)
    sections = [
        _opening(plan, results, compared),
        _results_section(compared),
        _classes_section(results, compared),
        guide_section(compared, guidance),
        against_section(compared, paper),
        settings_section(plan, compared, pools),
        unfinished_section(plan, results, command),
        time_section(results),
        repeat_section(command, version),
    ]
    return "\n\n".join(filter(None, sections)) + "\n"


def _by_setting(compared: Sequence[Comparison]) -> Iterator[tuple[Setting, list[Comparison]]]:
    for _, group in groupby(compared, key=lambda comparison: id(comparison.setting)):
        members = list(group)
        yield members[0].setting, members


def _title(comparison: Comparison) -> str:
    arm = ", with MC-dropout layers" if comparison.mc_dropout else ""
    return f"{text(comparison.setting.dataset)}, budget {text(comparison.setting.budget)}{arm}"


def _opening(plan: Plan, results: Results, compared: Sequence[Comparison]) -> str:
    study = plan.study
    arms = {True: "with s4GAN (SSL)", False: "without SSL"}
    ssl = " and ".join(arms[arm] for arm in sorted(set(study.ssl)))
    about = (
        f"This study compares {counted(len(study.methods), 'acquisition method')}, {ssl}, in "
        f"{counted(len(plan.settings), 'setting')} over {seeds_phrase(study.seeds)}."
    )
    lead = " ".join(filter(None, [about, progress_sentence(plan, results)]))
    if len(compared) > _VERDICTS_IN_OPENING:
        verdicts = leaders_table([(_title(c), c) for c in compared])
    else:
        verdicts = "\n".join(f"- {_title(c)}: {verdict(c)}" for c in compared)
    return f"# {text(study.study)}\n\n{lead}\n\n{verdicts}"


def _results_section(compared: Sequence[Comparison]) -> str:
    blocks = [
        "## Results",
        "S: scores images one by one, B: chooses a batch together. mIoU@B: percent, with B % of "
        "the pool labelled. AUC@B: area under the budget curve up to B %. Mean ± standard "
        "deviation over seeds; the best mean is bold where all methods with a result have the same "
        "seeds. `full` is trained on all images.",
        "Dropout layers in the decoder change the model: methods that need them are compared among "
        "themselves."
        if any(comparison.mc_dropout for comparison in compared)
        else "",
    ]
    for setting, group in _by_setting(compared):
        for comparison in group:
            said = verdict(comparison) if len(compared) > _VERDICTS_IN_OPENING else ""
            blocks += [f"### {_title(comparison)}", said, _setting_table(comparison)]
        where = f"{text(setting.dataset)}, budget {text(setting.budget)}"
        blocks.append(f"![Budget curves: {where}](figures/{figure_name(setting)}.svg)")
    return "\n\n".join(filter(None, blocks))


def _setting_table(comparison: Comparison) -> str:
    header = ["Method", "S/B", "SSL", f"mIoU@{percent(comparison.miou_at)}"]
    measures = ["miou"]
    if comparison.auc_at is not None:
        header.append(f"AUC@{percent(comparison.auc_at)}")
        measures.append("auc")
    bold = {measure: _best(comparison.methods, measure) for measure in measures}
    if comparison.at_initial_set:
        bold["miou"] = ""
    if doubts(comparison).allow_no_order:
        bold = dict.fromkeys(measures, "")
    rows = [_row(entry, bold) for entry in comparison.methods]
    if comparison.full:
        rows.append([""] * len(header))
        rows += [_row(entry, dict.fromkeys(measures, "")) for entry in comparison.full]
    return table(header, rows, left=3)


def _row(entry: Entry, bold: Mapping[str, str]) -> list[str]:
    cells = [text(entry.method), _LETTERS.get(entry.family, "-"), "✓" if entry.ssl else ""]
    for measure, best in bold.items():
        values = list(getattr(entry, measure).values())
        shown = over_seeds(values, len(entry.seeds))
        cells.append(f"**{shown}**" if values and _mean(entry, measure) == best else shown)
    return cells


def _mean(entry: Entry, measure: str) -> str:
    return number(mean_and_spread(list(getattr(entry, measure).values()))[0])


def _best(entries: Sequence[Entry], measure: str) -> str:
    """The best mean as printed; empty where means are not comparable: one method, unlike seeds."""
    ranked = [entry for entry in entries if getattr(entry, measure)]
    seeds = {frozenset(getattr(entry, measure)) for entry in ranked}
    if len(ranked) < 2 or len(seeds) > 1:
        return ""
    return max((_mean(entry, measure) for entry in ranked), key=float)


def _classes_section(results: Results, compared: Sequence[Comparison]) -> str:
    blocks = [block for c in compared if (block := _class_table(results, c))]
    if not blocks:
        return ""
    about = (
        f"Percent, mean over the finished seeds. {UNKNOWN}: no result, or the class is neither "
        "there nor predicted."
    )
    return "\n\n".join(["## IoU by class", about, *blocks])


def _class_table(results: Results, comparison: Comparison) -> str:
    cycle = comparison.last_common_cycle
    if cycle is None:
        return ""
    columns = [(entry, cycle) for entry in comparison.methods if cycle in entry.curve]
    columns += [(entry, 0) for entry in comparison.full if entry.curve]
    found = [class_iou(results, comparison, entry, at) for entry, at in columns]
    names = found[0][0]
    rows = [
        [text(name), *(number(ious[rank], 1) for _, ious in found)]
        for rank, name in enumerate(names)
    ]
    header = ["Class", *(text(entry.name) for entry, _ in columns)]
    at = percent(comparison.budget_percent[cycle])
    return f"### {_title(comparison)}: classes at {at} % labelled\n\n{table(header, rows)}"
