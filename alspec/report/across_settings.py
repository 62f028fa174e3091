"""What holds over settings: who wins how often, ranks, labels saved, batch against single."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from alspec.report.album import Album
from alspec.report.document import Block, Heading, Paragraph, strong, table, text
from alspec.report.figures.bars import draw_labels_saved, draw_redundancy
from alspec.report.findings import Findings
from alspec.report.phrases import UNKNOWN, counted, number, signed, span
from alspec.report.setting_results import file_name, title_of
from alspec.results.intervals import Interval, difference
from alspec.results.label_savings import LabelsSaved, labels_saved
from alspec.results.ranks import LEAST_DATASETS, Ranks, WinMatrix, mean_ranks, win_matrix
from alspec.results.standings import Comparison, Entry, standing


def across_section(findings: Findings) -> list[Block]:
    """Wins and ranks over settings; empty for a single setting."""
    plain = [c for c in findings.compared if not c.mc_dropout]
    found = win_matrix(plain)
    if found is None:
        return []
    blocks: list[Block] = [Heading("Over all settings"), *_matrix(found, len(plain))]
    ranks = mean_ranks(plain)
    if ranks is None:
        datasets = len({c.setting.dataset for c in plain})
        return [
            *blocks,
            Paragraph(
                f"{counted(datasets, 'dataset')}: too few for ranks, which are tested from "
                f"{LEAST_DATASETS} datasets on. Nothing here is called significant."
            ),
        ]
    return [*blocks, *_ranks(ranks)]


def _matrix(found: WinMatrix, settings: int) -> list[Block]:
    names = [text(name) for name in found.names]
    rows = []
    for row, name in enumerate(names):
        cells = [
            f"{found.wins[row][column]}/{found.settings[row][column]}" if row != column else ""
            for column in range(len(names))
        ]
        rows.append((name, *cells))
    return [
        Paragraph(
            f"Wins of the {strong('row')} against the {strong('column')}, and of how many of the "
            f"{counted(settings, 'setting')} both have 3 seeds in."
        ),
        table(("Row wins against", *names), rows, caption="Wins, row against column"),
    ]


def _ranks(found: Ranks) -> list[Block]:
    best = next(iter(found.mean.values()))
    rows = [
        (text(name), number(rank), "yes" if rank - best > found.critical else "no")
        for name, rank in found.mean.items()
    ]
    verdict = "differ" if found.p <= 0.05 else "cannot be told apart"
    return [
        Paragraph(
            f"Mean ranks over {counted(found.datasets, 'dataset')}, 1 is best. Friedman test: "
            f"p = {number(found.p, 3)}, the methods {verdict}. Ranks farther apart than "
            f"{number(found.critical)} differ (Nemenyi, 5 %)."
        ),
        table(("Method", "Mean rank", "Differs from the first"), rows, caption="Mean ranks"),
    ]


def labels_section(findings: Findings, album: Album) -> list[Block]:
    """Labels saved against Random, a part a comparison; empty where nothing can be compared."""
    parts = [(c, list(labels_saved(c))) for c in findings.compared]
    parts = [(comparison, found) for comparison, found in parts if found]
    if not parts:
        return []
    blocks: list[Block] = [
        Heading("Labels saved"),
        Paragraph(
            "How many fewer labels a method needs than Random of its arm, to get to Random's mIoU "
            "at the end of the budget; by straight lines between labelled sets, paired by seed. "
            "A method with a seed that never gets there has no mean."
        ),
    ]
    for comparison, found in parts:
        blocks.append(Heading(f"Labels saved: {title_of(comparison)}", 3))
        blocks.append(_saved_table(found))
        blocks += _saved_figure(comparison, found, album)
    return blocks


def _saved_table(found: Sequence[LabelsSaved]) -> Block:
    rows = []
    for each in found:
        seeds = len(each.by_seed) + len(each.not_reached)
        rows.append(
            (
                text(each.entry.name),
                f"{len(each.by_seed)} of {seeds}",
                UNKNOWN if not each.share.seeds else f"{number(each.share.mean, 0)} %",
                span(each.share, 0),
            )
        )
    header = ("Method", "Seeds that get there", "Labels saved", "95 % interval")
    return table(header, rows, caption="Labels saved")


def _saved_figure(
    comparison: Comparison, found: Sequence[LabelsSaved], album: Album
) -> Iterator[Block]:
    total = comparison.setting.labelled_images[-1]
    rows = {
        text(each.entry.name): (each.share, [100 * v / total for v in each.by_seed.values()])
        for each in found
        if each.share.known
    }
    if rows:
        yield album.figure(
            file_name(comparison, "labels-saved"),
            f"Labels saved: {title_of(comparison)}",
            "Bars: mean over seeds. Dots: every seed. Lines: 95 % t interval.",
            lambda: draw_labels_saved(rows),
        )


def redundancy_section(findings: Findings, album: Album) -> list[Block]:
    """The paper's Figure 1; empty where no setting has a batch and a single method."""
    points = list(_batch_minus_single(findings))
    if not points:
        return []
    rows = [
        (name, arm, number(share, 0) + " %", signed(found.mean), span(found, sign=True))
        for name, share, arm, found in points
    ]
    header = ("Setting", "Arm", "No new view", "Batch minus single", "95 % interval")
    several = len({share for _, share, _, _ in points}) > 1
    blocks: list[Block] = [
        Heading("Batch or single, by redundancy"),
        Paragraph(
            "As in the paper's Figure 1: mIoU of the batch method with the highest mean minus that "
            "of such a single method, paired by seed, against the share of the pool's images that "
            "show no new view. Above 0, choosing a batch together pays. Both were picked by "
            "their means, which flatters each."
        ),
        table(header, rows, left=2, caption="Batch minus single"),
    ]
    if several:
        blocks.append(
            album.figure(
                "batch-minus-single",
                "Batch minus single methods by redundancy",
                "A point a setting and arm; lines: 95 % t interval, from 3 seeds on.",
                lambda: draw_redundancy(points),
            )
        )
    return blocks


def _batch_minus_single(findings: Findings) -> Iterator[tuple[str, float, str, Interval]]:
    for comparison in findings.compared:
        facts = findings.pools.get(comparison.setting.pool_step)
        if comparison.at_initial_set or facts is None or facts.views_per_image is None:
            continue
        for ssl in sorted({e.ssl for e in comparison.methods}):
            batch = _best(comparison.methods, "batch", ssl)
            single = _best(comparison.methods, "single", ssl)
            if batch and single and set(batch.miou) & set(single.miou):
                arm = ("with SSL" if ssl else "without SSL") + (
                    ", dropout" if comparison.mc_dropout else ""
                )
                where = f"{text(comparison.setting.dataset)} {text(comparison.setting.budget)}"
                apart = difference(batch.miou, single.miou).alone
                yield where, 100 * (1 - facts.views_per_image), arm, apart


def _best(entries: Sequence[Entry], family: str, ssl: bool) -> Entry | None:
    found = standing([e for e in entries if e.family == family and e.ssl is ssl], "miou")
    return found.best if found else None
