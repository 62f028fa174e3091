"""docs/evidence.md says what docs/evidence/*/results.csv say, recomputed without alspec."""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean, stdev

import pytest
from scipy.stats import t

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "evidence.md").read_text()
TABLES = {path.parent.name: path for path in DOCS.glob("evidence/*/results.csv")}
STUDIES = sorted(name for name in TABLES if not name.endswith("-low"))
SEEDS = 3
AT = {"10-10": 30, "2-2": 6}


def _rows(study: str, budget: str) -> list[dict[str, str]]:
    low = TABLES.get(f"{study}-low") if budget == "2-2" else None  # a study of few labels alone
    with (low or TABLES[study]).open() as file:
        rows = [row for row in csv.DictReader(file) if row["budget"] == budget]
    finished = Counter((row["method"], row["cycle"]) for row in rows)
    return [row for row in rows if finished[row["method"], row["cycle"]] == SEEDS]


def _miou(study: str, budget: str, method: str) -> dict[str, float]:
    """By seed, in the cycle whose share is nearest to where the page compares."""
    rows = [row for row in _rows(study, budget) if row["method"] == method]
    nearest = min({row["cycle"] for row in rows}, key=lambda k: _off(rows, k, AT[budget]))
    return {row["seed"]: float(row["miou"]) for row in rows if row["cycle"] == nearest}


def _off(rows: list[dict[str, str]], cycle: str, at: int) -> float:
    return abs(float(next(r["labelled_percent"] for r in rows if r["cycle"] == cycle)) - at)


def _overview() -> Iterator[list[str]]:
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 10 and cells[0] in STUDIES and cells[3] in AT:
            yield cells


def _interval(
    first: dict[str, float], second: dict[str, float], comparisons: int
) -> tuple[float, float, float]:
    apart = [first[seed] - second[seed] for seed in first]
    quantile = t.ppf(1 - 0.05 / comparisons / 2, len(apart) - 1)
    half = quantile * stdev(apart) / math.sqrt(len(apart))
    return fmean(apart), fmean(apart) - half, fmean(apart) + half


def _numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"[+-]\d+\.\d+", text)]


def test_the_page_has_every_study_and_budget_once() -> None:
    assert STUDIES
    expected = [(study, budget) for study in STUDIES for budget in AT if _rows(study, budget)]
    assert sorted((cells[0], cells[3]) for cells in _overview()) == sorted(expected)


@pytest.mark.parametrize("cells", list(_overview()), ids=lambda cells: f"{cells[0]} {cells[3]}")
def test_who_won_and_by_how_much(cells: list[str]) -> None:
    study, _, redundancy, budget, guide, best, over_random, difference, holds, figure_1 = cells
    rows = [row for row in _rows(study, budget) if row["family"] != "full"]
    families = {row["method"]: row["family"] for row in rows}
    miou = {method: _miou(study, budget, method) for method in families}
    means = {method: fmean(values.values()) for method, values in miou.items()}
    level = max(means.values()) - min(means.values()) < 0.01
    top = max(means, key=means.__getitem__)
    assert best == ("all level" if level else top)
    assert float(over_random) == pytest.approx(means[top] - means["random"], abs=0.0051)

    high = budget == "10-10"
    table_6 = {("high", True): "batch", ("high", False): "batch", ("low", True): "single",
               ("low", False): "random"}  # fmt: skip
    assert guide.lower() == table_6[redundancy, high]
    advised = [method for method in families if families[method] == guide.lower()]
    others = [method for method in families if method not in advised]
    one, other = (max(names, key=means.__getitem__) for names in (advised, others))
    assert difference.startswith(f"{one} - {other}: ")

    mean, low, high_end = _interval(miou[one], miou[other], len(others))
    assert _numbers(difference) == pytest.approx([mean, low, high_end], abs=0.0051)
    singles = [method for method in families if families[method] == "single"]
    single = max(singles, key=means.__getitem__)
    expected_1 = _interval(miou[single], miou["coreset"], 1)
    assert _numbers(figure_1) == pytest.approx(expected_1, abs=0.0051)
    if level:
        expected = "no model learnt"
    elif low > 0 and mean >= 0.5:
        expected = "yes"
    elif high_end < 0 and mean <= -0.5:
        expected = "no"
    else:
        expected = "a tie" if low > -0.5 and high_end < 0.5 else "undecided"
    assert holds == expected


@pytest.mark.parametrize("study", STUDIES)
def test_means_and_spreads(study: str) -> None:
    section = PAGE.split(f"\n## {study}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if "±" in line]
    assert lines
    for line in lines:
        method, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        budgets = [budget for budget in AT if _rows(study, budget)]
        for budget, told in zip(budgets, cells[::2], strict=True):
            measured = {row["method"] for row in _rows(study, budget) if int(row["cycle"])}
            if told == "–":
                assert method not in measured
                continue
            values = list(_miou(study, budget, method).values())
            mean, spread = (float(number) for number in told.split(" ± "))
            assert mean == pytest.approx(fmean(values), abs=0.0051)
            assert spread == pytest.approx(stdev(values), abs=0.0051)


def _trial(name: str) -> list[dict[str, str]]:
    with (DOCS / "evidence" / f"{name}.csv").open() as file:
        return list(csv.DictReader(file))


def _table(title: str) -> Iterator[list[str]]:
    section = PAGE.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]
    for line in section.splitlines():
        if line.startswith("| ") and not line.startswith("| :"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def test_what_pretrained_weights_are_worth() -> None:
    _, *arms, last = _table("Pretrained weights")
    rows = _trial("pretrained")
    miou = [
        {row["seed"]: float(row["miou"]) for row in rows if row["weights"] == arm[0]}
        for arm in arms
    ]
    assert sum(map(len, miou)) == len(rows)
    for (_, by_seed, mean), values in zip(arms, miou, strict=True):
        assert by_seed == ", ".join(f"{value:.1f}" for value in values.values())
        assert float(mean) == pytest.approx(fmean(values.values()), abs=0.0051)
    both = {seed: value for seed, value in miou[0].items() if seed in miou[1]}
    expected = (
        _interval(both, miou[1], 1)
        if len(both) > 2
        else [fmean(value - miou[1][seed] for seed, value in both.items())]
    )
    assert _numbers(last[2]) == pytest.approx(expected, abs=0.0051)


def test_what_s4gan_did() -> None:
    _, *lines = _table("s4GAN")
    rows = _trial("s4gan")
    found = 0
    for data, labelled, epochs, change, _, miou, less, accepted, *_ in lines:
        where = {"data": data, "labelled": labelled, "epochs": epochs}
        same = [row for row in rows if where.items() <= row.items()]
        tried = [row for row in same if row["s4gan"] == change]
        plain = {row["seed"]: float(row["miou"]) for row in same if row["s4gan"] == "none"}
        assert miou == ", ".join(f"{float(row['miou']):.1f}" for row in tried)
        found += len(tried)
        if change != "none":
            apart = fmean(float(row["miou"]) - plain[row["seed"]] for row in tried)
            assert float(less) == pytest.approx(apart, abs=0.051)
            share = fmean(float(row["accepted"]) for row in tried)
            assert float(accepted.rstrip(" %")) == pytest.approx(100 * share, abs=0.051)
    assert found == len(rows)


def test_what_became_of_labelling_projects() -> None:
    (_, _, *sizes, _), *lines = _table("Labelling projects")
    rows = _trial("projects")
    methods = {"as advised": "auto", "at random": "random"}
    assert len(lines) == 2 * len({row["data"] for row in rows})
    for data, chosen, *means, apart in lines:
        here = [row for row in rows if row["data"] == data]
        for size, mean in zip(sizes, means, strict=True):
            same = [r for r in here if (r["method"], r["labelled"]) == (methods[chosen], size)]
            assert len(same) == SEEDS
            expected = fmean(float(row["miou"]) for row in same)
            assert float(mean) == pytest.approx(expected, abs=0.051)
        if apart:
            last = [row for row in here if row["labelled"] == sizes[-1]]
            auto, random = (
                {row["seed"]: float(row["miou"]) for row in last if row["method"] == method}
                for method in ("auto", "random")
            )
            assert _numbers(apart) == pytest.approx(_interval(auto, random, 1), abs=0.0051)
