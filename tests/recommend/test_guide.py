"""The guide against Table 6 and every number that follows from the paper's rows."""

import json
import subprocess
import sys

import pytest
from pydantic import ValidationError

from alspec.recommend.guide import Facts, advise, level_of_budget
from alspec.recommend.paper import paper_rows
from alspec.recommend.table6 import load_guide

CAMVID = (
    "The paper calls CamVid diverse; measured here it shows 0.38 distinct views an image, "
    "redundancy high."
)
FAR_DOMAINS = (
    "The paper's images are street scenes (Cityscapes, A2D2) and everyday photographs "
    "(PASCAL-VOC); for medical, microscopy, satellite or other far domains no row of it stands "
    "behind the guide."
)


def entry_of(redundancy, budget, ssl):
    (entry,) = advise(Facts(redundancy=redundancy, budget=budget, ssl=ssl)).entries
    return entry


def regrets(entry):
    return {
        f"{setting.advised.dataset} {setting.advised.budget}": setting.regret
        for setting in entry.evidence
    }


@pytest.mark.parametrize(
    ("redundancy", "budget", "ssl", "label", "family", "use_ssl", "methods"),
    [
        ("low", "low", False, "Random", "random", False, ("random",)),
        ("low", "low", True, "Random-SSL", "random", True, ("random",)),
        ("low", "high", False, "Single", "single", False, ("entropy", "equal")),
        ("low", "high", True, "Single-SSL", "single", True, ("entropy", "equal")),
        ("high", "low", False, "Batch", "batch", False, ("coreset",)),
        ("high", "low", True, "Batch", "batch", False, ("coreset",)),
        ("high", "high", False, "Batch", "batch", False, ("coreset",)),
        ("high", "high", True, "Batch-SSL", "batch", True, ("coreset",)),
    ],
)
def test_the_eight_cells_of_table_6(redundancy, budget, ssl, label, family, use_ssl, methods):
    entry = entry_of(redundancy, budget, ssl)
    assert (entry.redundancy, entry.budget, entry.ssl) == (redundancy, budget, ssl)
    assert (entry.label, entry.family, entry.use_ssl) == (label, family, use_ssl)
    assert entry.methods == methods
    assert all(setting.advised.ssl is use_ssl for setting in entry.evidence)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (
            ("low", "low", False),
            {"pascal-voc 2-2": 0.0, "a2d2-pool-0f 2-2": 4.58, "cityscapes 2-2": 5.19},
        ),
        (
            ("low", "low", True),
            {"pascal-voc 2-2": 0.0, "a2d2-pool-0f 2-2": 3.60, "cityscapes 2-2": 3.78},
        ),
        (
            ("low", "high", False),
            {
                "cityscapes 10-10": 0.0,
                "a2d2-pool-0f 10-10": 0.0,
                "pascal-voc 5-5": 0.47,
                "pascal-voc 10-10": 0.0,
            },
        ),
        (
            ("low", "high", True),
            {
                "cityscapes 10-10": 2.53,
                "a2d2-pool-0f 10-10": 1.42,
                "pascal-voc 5-5": 0.0,
                "pascal-voc 10-10": 0.0,
            },
        ),
        (("high", "low", False), {"a2d2-pool-11f 2-2": 0.0}),
        (("high", "low", True), {"a2d2-pool-11f 2-2": 0.0}),
        *(
            (
                ("high", "high", ssl),
                {
                    "a2d2-pool-5f 10-10": 0.0,
                    "a2d2-pool-11f 10-10": 0.0,
                    "a2d2-pool-21f 10-10": 0.0,
                    "a2d2-pool-aug 10-10": 0.0,
                    "a2d2-3k 3k": 0.0,
                },
            )
            for ssl in (False, True)
        ),
    ],
)
def test_regret_of_every_setting(cell, expected):
    assert regrets(entry_of(*cell)) == expected


@pytest.mark.parametrize(
    ("cell", "lowest", "highest"),
    [
        (("high", "high", False), 0.9, 4.2),
        (("high", "high", True), 2.0, 5.0),
        (("high", "low", False), 1.9, 1.9),
    ],
)
def test_gain_over_random_of_redundant_pools(cell, lowest, highest):
    gains = [setting.gain for setting in entry_of(*cell).evidence]
    assert round(min(gains), 1) == lowest
    assert round(max(gains), 1) == highest


def test_evidence_counts_no_row_with_dropout_no_baseline_and_no_foreign_arm():
    for entry in advise(Facts()).entries:
        for setting in entry.evidence:
            rows = (setting.advised, setting.random, setting.best)
            assert not any(row.mc_dropout or row.family in ("full", "uniform") for row in rows)
            assert entry.ssl or not any(row.ssl for row in rows)
            assert setting.random.method == "random"
            assert not setting.random.ssl


def test_a_notable_regret_is_told_and_a_small_one_is_not():
    for entry in advise(Facts()).entries:
        told = [caveat for caveat in entry.caveats if " wins: " in caveat]
        notable = [setting for setting in entry.evidence if setting.regret > 1]
        assert len(told) == len(notable)
        for setting, caveat in zip(notable, told, strict=True):
            assert f"{setting.regret:.2f} mIoU points" in caveat
            assert load_guide().datasets[setting.advised.dataset].title in caveat


def test_caveats_of_the_cell_that_fails_on_one_domain():
    assert entry_of("low", "low", False).caveats == (
        "On A2D2 Pool-0f 2-2 (Table 8) Entropy wins: Random stays 4.58 mIoU points below it, "
        "36.82 against 41.40.",
        "On Cityscapes 2-2 (Table 9) Entropy wins: Random stays 5.19 mIoU points below it, "
        "46.05 against 51.24.",
        "By AUC another method wins than by mIoU: EqualAL on A2D2 Pool-0f 2-2 (Table 8), 3.22 "
        "against 3.18 of Entropy.",
        "The cell holds for broad-domain data such as PASCAL-VOC, not for a single driving domain.",
        "With few labels active learning is volatile; compare several seeds before trusting a "
        "gain.",
        CAMVID,
        FAR_DOMAINS,
    )


def test_caveats_name_the_winner_s_arm():
    first, second = (c for c in entry_of("low", "high", True).caveats if " wins: " in c)
    assert "Coreset-SSL wins: Entropy-SSL stays 2.53" in first
    assert "EqualAL wins: EqualAL-SSL stays 1.42" in second


def test_caveats_tell_the_thin_cell_the_halved_auc_and_the_candidate_filter():
    assert "Only one setting" in entry_of("high", "low", False).caveats[0]
    without_ssl, with_ssl = (" ".join(entry_of("high", "high", s).caveats) for s in (False, True))
    assert "half of what that table prints" in without_ssl
    assert "half of what that table prints" in with_ssl
    assert "Uniform(@5)+Entropy, which the guide does not rank, is 0.10 mIoU" in without_ssl
    assert "Uniform(@5)" not in with_ssl


def test_summaries():
    assert entry_of("high", "low", False).summary == (
        "In 1 setting it is the best method and gains 1.89 mIoU points over Random without SSL."
    )
    assert entry_of("low", "high", True).summary == (
        "In 4 settings it stays 0.00 to 2.53 mIoU points below the best method and gains 1.71 to "
        "3.95 mIoU points over Random without SSL."
    )


def test_json_is_the_contract():
    (entry,) = advise(Facts(redundancy="high", budget="low", ssl=True)).to_json()["advice"]
    assert json.loads(json.dumps(entry)) == {
        "redundancy": "high",
        "budget": "low",
        "ssl": True,
        "family": "batch",
        "use_ssl": False,
        "label": "Batch",
        "methods": ["coreset"],
        "evidence": [
            {
                "table": 8,
                "dataset": "a2d2-pool-11f",
                "budget": "2-2",
                "method": "coreset",
                "miou": 39.63,
                "auc": 3.1,
                "random_miou": 37.74,
                "best_method": "coreset",
                "best_miou": 39.63,
                "regret": 0.0,
            }
        ],
        "caveats": [
            "Only one setting of the paper supports this cell: A2D2 Pool-11f 2-2 (Table 8).",
            "With few labels active learning is volatile; compare several seeds before trusting "
            "a gain.",
            FAR_DOMAINS,
        ],
    }


@pytest.mark.parametrize(
    ("facts", "cells"),
    [
        ({}, 8),
        ({"redundancy": "high"}, 4),
        ({"redundancy": "high", "budget": "high"}, 2),
        ({"redundancy": "high", "budget": "high", "ssl": True}, 1),
        ({"redundancy": "high", "ssl": True}, 2),
        ({"budget": "between", "ssl": True, "redundancy": "low"}, 2),
    ],
)
def test_what_is_left_open_is_answered_for_both_sides(facts, cells):
    entries = advise(Facts(**facts)).entries
    assert len({(entry.redundancy, entry.budget, entry.ssl) for entry in entries}) == cells
    assert len(entries) == cells


def test_without_an_arm_al_stands_before_ssl_al():
    entries = advise(Facts(redundancy="low", budget="high")).entries
    assert [(entry.ssl, entry.label) for entry in entries] == [
        (False, "Single"),
        (True, "Single-SSL"),
    ]


def test_a_budget_between_says_so():
    between = advise(Facts(redundancy="low", budget="between", ssl=False)).entries
    assert all(entry.caveats[0].startswith("The budget lies between") for entry in between)
    plain = advise(Facts(redundancy="low", ssl=False)).entries
    assert [entry.caveats[1:] for entry in between] == [entry.caveats for entry in plain]


@pytest.mark.parametrize("facts", [{"redundancy": "diverse"}, {"budget": "10-10"}, {"arm": True}])
def test_foreign_facts_are_refused(facts):
    with pytest.raises(ValidationError):
        Facts(**facts)


@pytest.mark.parametrize(
    ("percent", "images", "level"),
    [
        (10, 264, "low"),  # A2D2 pools 2-2
        (10, 1058, "low"),  # PASCAL-VOC 2-2
        (10.01, None, "between"),
        (25, 2645, "between"),  # PASCAL-VOC 5-5
        (49.9, None, "between"),
        (50, 1320, "high"),  # A2D2 pools 10-10
        (50, 1319, "between"),
        (50, 150, "between"),  # half of 300 scans
        (100, 300, "between"),
        (10, 30, "low"),
        (100, None, "high"),
        (7.5, 3000, "high"),  # A2D2-3K
        (7.5, None, "low"),
    ],
)
def test_level_of_budget(percent, images, level):
    assert level_of_budget(percent, images) == level


@pytest.mark.parametrize("percent", [0, -1, 100.5, float("nan")])
def test_a_budget_is_a_percentage(percent):
    with pytest.raises(ValueError, match="above 0 and at most 100"):
        level_of_budget(percent)


def test_every_setting_of_the_paper_is_evidence_of_exactly_one_cell_an_arm():
    settings = {(row.table, row.dataset, row.budget) for row in paper_rows()}
    for ssl in (False, True):
        told = [
            (setting.advised.table, setting.advised.dataset, setting.advised.budget)
            for entry in advise(Facts(ssl=ssl)).entries
            for setting in entry.evidence
        ]
        assert sorted(told) == sorted(settings)


def test_the_guide_knows_every_dataset_budget_and_method_of_the_paper():
    guide = load_guide()
    assert {row.dataset for row in paper_rows()} == set(guide.datasets)
    assert {row.budget for row in paper_rows()} == set(guide.levels)
    assert {row.method for row in paper_rows()} == {*guide.titles, "full"}


def test_recommend_imports_neither_torch_nor_pandas():
    code = (
        "import sys; from alspec.recommend.guide import Facts, advise; advise(Facts());"
        "sys.exit(bool({'torch', 'pandas'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
