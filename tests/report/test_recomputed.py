"""Every number of a report's tables, computed anew from results.csv, runs.csv and classes.csv."""

from __future__ import annotations

import csv
import math
from collections import defaultdict

import numpy as np
import pytest
from factories.reports import document_of
from factories.study import CAMVID, MadeStudy
from scipy import stats

from alspec.report.document import Fold, Heading, Table
from alspec.results.table import write_tables


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The rows of the three tables as text, and the report's tables by caption."""
    datasets = tuple(CAMVID.model_copy(update={"name": name}) for name in ("a", "b"))
    made = MadeStudy(
        methods=("random", "entropy", "coreset"), dropout=("random", "bald"), seeds=(0, 1, 2, 3),
        datasets=datasets,
    )  # fmt: skip
    folder = made.in_folder(tmp_path_factory.mktemp("study"))
    write_tables(made.plan, folder)
    rows = {}
    for name in ("results", "runs", "classes"):
        with folder.table(name).open(newline="") as file:
            rows[name] = list(csv.DictReader(file))
    document, _ = document_of(made, folder.store)
    return rows, document


def tables(document, wanted):
    """The tables whose caption starts so, with the title of their part."""
    title = ""
    for block in document.blocks:
        if isinstance(block, Heading):
            title = block.title
        inside = block.blocks if isinstance(block, Fold) else (block,)
        for each in inside:
            if isinstance(each, Table) and each.caption.startswith(wanted):
                yield title, each


def arm(title):
    dataset = title.partition(", ")[0].rpartition(" ")[2]
    return dataset, "1" if "MC-dropout" in title else "0"


def by_seed(rows, title, method, ssl, column, **more):
    """A column by seed of one method, as a reader of the CSV would take it."""
    dataset, dropout = arm(title)
    wanted = {"dataset": dataset, "mc_dropout": dropout, "method": method, "ssl": ssl, **more}
    return {
        int(row["seed"]): float(row[column])
        for row in rows
        if all(row[key] == value for key, value in wanted.items()) and row[column]
    }


def plain(cell):
    return cell.strip("\ue000\ue001")


def interval(values, level=0.95):
    values = np.array(list(values))
    mean, spread = values.mean(), values.std(ddof=1) / math.sqrt(len(values))
    half = stats.t.ppf((1 + level) / 2, len(values) - 1) * spread
    return mean, mean - half, mean + half


def close(shown, expected):
    """A printed number is the exact one to its last digit, in files of four decimals."""
    assert float(shown) == pytest.approx(expected, abs=0.0052)


def test_means_and_intervals(study):
    rows, document = study
    seen = 0
    for title, shown in tables(document, ("a, budget", "b, budget")):
        if shown.header[0] != "Method":
            continue
        for method, _, ssl, *cells in shown.rows:
            for cell, column in zip(cells, ("miou_at", "auc"), strict=True):
                own = by_seed(rows["runs"], title, method, "1" if ssl else "0", column)
                mean, low, high = interval(own.values())
                printed = plain(cell).replace("(", "").replace(")", "").split(" ")
                for found, expected in zip(
                    (printed[0], printed[1], printed[3]), (mean, low, high), strict=True
                ):
                    close(found, expected)
                seen += 1
    assert seen == 2 * 2 * (7 + 5)


def test_differences_to_random(study):
    rows, document = study
    seen = 0
    for title, shown in tables(document, "Above Random"):
        where = shown.caption.removeprefix("Above Random: ")
        for name, verdict, points, together, seeds, *_ in shown.rows:
            method, ssl = name.removesuffix("-SSL"), "1" if name.endswith("-SSL") else "0"
            own, random = (
                by_seed(rows["runs"], where, each, ssl, "miou_at") for each in (method, "random")
            )
            apart = [own[seed] - random[seed] for seed in own]
            mean, low, high = interval(apart, 1 - 0.05 / len(shown.rows))
            close(points, mean)
            close(together.split(" to ")[0], low)
            close(together.split(" to ")[1], high)
            expected = "undecided"
            if low > 0 and mean >= 0.5:
                expected = "win"
            elif high < 0 and mean <= -0.5:
                expected = "loss"
            elif low > -0.5 and high < 0.5:
                expected = "tie"
            assert verdict == expected
            assert seeds == "4"
            seen += 1
        assert title
    assert seen == 2 * (4 + 2)


def test_labels_saved(study):
    rows, document = study
    curves = defaultdict(dict)
    for row in rows["results"]:
        key = (row["dataset"], row["mc_dropout"], row["method"], row["ssl"], row["seed"])
        curves[key][int(row["labelled_images"])] = float(row["miou"])
    seen = 0
    for title, shown in tables(document, "Labels saved"):
        dataset, dropout = arm(title.removeprefix("Labels saved: "))
        for name, reached, share, _ in shown.rows:
            method, ssl = name.removesuffix("-SSL"), "1" if name.endswith("-SSL") else "0"
            saved = []
            for seed in "0123":
                random = curves[dataset, dropout, "random", ssl, seed]
                own = curves[dataset, dropout, method, ssl, seed]
                last = max(random)
                grid = np.linspace(min(own), last, 200_001)
                there = grid[np.interp(grid, list(own), list(own.values())) >= random[last]]
                saved += [100 * (last - there[0]) / last] if len(there) else []
            assert reached == f"{len(saved)} of 4"
            if len(saved) == 4:
                assert float(share.removesuffix(" %")) == pytest.approx(np.mean(saved), abs=0.52)
            seen += 1
    assert seen == 2 * (4 + 2)


def test_class_ious(study):
    rows, document = study
    seen = 0
    for title, shown in tables(document, ("a, budget", "b, budget")):
        if shown.header[0] != "Class":
            continue
        for name, *cells in shown.rows:
            for method, cell in zip(shown.header[1:], cells, strict=True):
                full = method == "full"
                more = {"class": name, "cycle": "0" if full else "2"}
                ssl = "1" if method.endswith("-SSL") else "0"
                own = by_seed(
                    rows["classes"], title, method.removesuffix("-SSL"), ssl, "iou", **more
                )
                if own:
                    assert float(cell) == pytest.approx(np.mean(list(own.values())), abs=0.052)
                else:
                    assert cell == "–"
                seen += 1
    assert seen == 2 * 5 * (7 + 5)


def test_wins_over_settings(study):
    rows, document = study
    ((_, shown),) = tables(document, "Wins")
    names = shown.header[1:]
    for name, *cells in shown.rows:
        for other, cell in zip(names, cells, strict=True):
            if name == other:
                assert cell == ""
                continue
            wins = 0
            for dataset in ("a", "b"):
                one, two = (
                    by_seed(
                        rows["runs"], f"{dataset}, ", each.removesuffix("-SSL"),
                        "1" if each.endswith("-SSL") else "0", "miou_at",
                    )
                    for each in (name, other)
                )  # fmt: skip
                apart = [one[seed] - two[seed] for seed in one]
                mean, low, _ = interval(apart, 1 - 0.05 / (len(names) - 1))
                wins += low > 0 and mean >= 0.5
            assert cell == f"{wins}/2"
