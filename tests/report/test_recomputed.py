"""Every number of a report's tables, computed anew from the CSV files and selections beside it."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from itertools import pairwise

import numpy as np
import pytest
from factories.reports import document_of
from factories.study import CAMVID, MadeStudy
from scipy import stats

from alspec.report.document import Fold, Heading, Table
from alspec.results.selection_files import write_selections
from alspec.results.table import write_tables


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The rows of the three tables as text, and the report's tables by caption."""
    datasets = tuple(CAMVID.model_copy(update={"name": name}) for name in ("a", "b"))
    made = MadeStudy(
        methods=("random", "entropy", "coreset"), dropout=("random", "bald"), seeds=(0, 1, 2),
        datasets=datasets, pool_images=200, listed=True,
    )  # fmt: skip
    folder = made.in_folder(tmp_path_factory.mktemp("study"))
    write_tables(made.plan, folder)
    write_selections(made.plan, folder)
    rows = {}
    for name in ("results", "runs", "classes"):
        with folder.table(name).open(newline="") as file:
            rows[name] = list(csv.DictReader(file))
    rows["chosen"] = chosen_in(folder)
    rows["pool"] = made.images
    rows["pixels"] = made.pixels
    document, _ = document_of(made, folder.store)
    return rows, document


def chosen_in(folder):
    """The labelled sets of each run by cycle, as `selections/` has them."""
    found = defaultdict(dict)
    for path in folder.selections.glob("*/*.txt"):
        cycle = int(path.stem.removeprefix("cycle_"))
        found[path.parent.name][cycle] = path.read_text("utf-8").split()
    return found


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


def close(shown, expected, half=0.0052):
    """A printed number is the exact one to its last digit, in files of four decimals."""
    assert float(shown) == pytest.approx(expected, abs=half)


def judged(mean, low, high):
    if low > 0 and mean >= 0.5:
        return "win"
    if high < 0 and mean <= -0.5:
        return "loss"
    return "tie" if low > -0.5 and high < 0.5 else "undecided"


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
            assert verdict == judged(mean, low, high)
            assert seeds == "3"
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
            for seed in "012":
                random = curves[dataset, dropout, "random", ssl, seed]
                own = curves[dataset, dropout, method, ssl, seed]
                last = max(random)
                grid = np.linspace(min(own), last, 200_001)
                there = grid[np.interp(grid, list(own), list(own.values())) >= random[last]]
                saved += [100 * (last - there[0]) / last] if len(there) else []
            assert reached == f"{len(saved)} of 3"
            if len(saved) == 3:
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


def test_leaders(study):
    rows, document = study
    ((_, shown),) = tables(document, "Leader")
    for title, _, name, mean, over, auc_name, auc, auc_over in shown.rows:
        dropout = "MC-dropout" in title
        names = ("random", "bald") if dropout else ("random", "entropy", "coreset")
        for column, best, printed, above, least in (
            ("miou_at", name, mean, over, 0.5), ("auc", auc_name, auc, auc_over, 0.2),
        ):  # fmt: skip
            means = {
                method + "-SSL" * ssl: by_seed(rows["runs"], title, method, str(ssl), column)
                for method in names
                for ssl in (0, 1)
            }
            assert best == max(means, key=lambda key: np.mean(list(means[key].values())))
            close(printed, np.mean(list(means[best].values())))
            random = means["random" + "-SSL" * best.endswith("-SSL")]
            apart = [means[best][seed] - random[seed] for seed in random]
            found = interval(apart, 1 - 0.05 / (2 * (len(names) - 1)))
            close(above.split(" ")[0], found[0])
            assert above.split(" ")[1] == f"({judged(*(v * 0.5 / least for v in found))})"


def test_batch_minus_single(study):
    rows, document = study
    ((_, shown),) = tables(document, "Batch minus single")
    assert len(shown.rows) == 4
    for where, arm_name, share, mean, ends in shown.rows:
        ssl = "1" if arm_name == "with SSL" else "0"
        title = where.replace(" ", ", ", 1)
        batch, single = (
            by_seed(rows["runs"], title, method, ssl, "miou_at")
            for method in ("coreset", "entropy")
        )
        expected = interval([batch[seed] - single[seed] for seed in batch])
        for printed, value in zip((mean, *ends.split(" to ")), expected, strict=True):
            close(printed, value)
        assert share == "62 %"  # of the made pool 0.375 views an image


def test_time(study):
    rows, document = study
    ((_, shown),) = tables(document, "Time of training")
    seconds = {row["train_key"]: float(row["train_seconds"]) for row in rows["results"]}
    ((device, trainings, hours, minutes),) = shown.rows
    assert {row["device"] for row in rows["results"]} == {device}
    assert int(trainings) == len(seconds)
    close(hours, sum(seconds.values()) / 3600)
    close(minutes, sum(seconds.values()) / len(seconds) / 60)


def audited(rows, dataset, name):
    """Initial set and batches of each seed, as places in the pool."""
    place = {image: k for k, image in enumerate(rows["pool"])}
    arm = name.lower().replace(" (dropout)", "-dropout")
    for seed in range(3):
        sets = rows["chosen"][f"{dataset}_10-10_{arm}_seed{seed}"]
        ordered = [[place[image] for image in sets[cycle]] for cycle in sorted(sets)]
        batches = [after[len(before) :] for before, after in pairwise([[], *ordered])]
        yield batches[0], batches[1:]


def near(pool, one, other):
    return abs(one - other) <= 2 and pool[one][0] == pool[other][0]


def test_what_was_chosen(study):
    rows, document = study
    pool, seen = rows["pool"], 0
    for _, shown in tables(document, "What was chosen"):
        dataset = shown.caption.removeprefix("What was chosen: ").partition(",")[0]
        for name, images, views, copies, sequences in shown.rows:
            found = list(audited(rows, dataset, name))
            assert len(found) == 3
            counted = defaultdict(list)
            for initial, batches in found:
                taken, new, own = list(initial), 0, [k for batch in batches for k in batch]
                for k in own:
                    new += not any(near(pool, k, before) for before in taken)
                    taken.append(k)
                counted["views"].append(100 * new / len(own))
                shares = [
                    np.mean([any(k != o and near(pool, k, o) for o in batch) for k in batch])
                    for batch in batches
                ]
                counted["copies"].append(100 * np.mean(shares))
                counted["sequences"].append(100 * len({pool[k][0] for k in own}) / 4)
                counted["images"].append(len(own))
            for printed, key in (
                (images, "images"), (views, "views"), (copies, "copies"), (sequences, "sequences"),
            ):  # fmt: skip
                close(printed, np.mean(counted[key]), 0.51)
            seen += 1
    assert seen == 2 * (5 + 2)


def test_classes_bought(study):
    rows, document = study
    seen = 0
    for _, shown in tables(document, "Classes bought"):
        dataset = shown.caption.removeprefix("Classes bought: ").partition(",")[0]
        columns = dict(zip(shown.header, zip(*shown.rows, strict=True), strict=True))
        counts = rows["pixels"][:, :-1].astype(float)
        for name in shown.header[1:]:
            sets = [range(len(counts))]
            if name != "Pool":
                found = audited(rows, dataset, name)
                sets = [[k for batch in batches for k in batch] for _, batches in found]
            totals = [counts[list(images)].sum(axis=0) for images in sets]
            expected = np.mean([100 * total / total.sum() for total in totals], axis=0)
            for printed, value in zip(columns[name], expected, strict=True):
                close(printed, value)
            seen += 1
    assert seen == 2 * (1 + 5 + 2)
