import csv
import math
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alspec.results.stats import area_under_budget, iou_of, mean_and_spread, miou_of


def full_rows():
    """The paper's Full baselines of the percent budgets: budget, mIoU, AUC."""
    text = (files("alspec.recommend") / "paper.csv").read_text("utf-8")
    rows = [row for row in csv.DictReader(text.splitlines()) if row["method"] == "full"]
    return [
        (row["budget"], float(row["miou"]), float(row["auc"]), int(row["auc_at"]))
        for row in rows
        if row["budget"] in {"10-10", "5-5", "2-2"}
    ]


def test_the_paper_has_18_full_rows_of_percent_budgets():
    assert len(full_rows()) == 18


@pytest.mark.parametrize(("budget", "miou", "auc", "auc_at"), full_rows())
def test_area_of_a_constant_curve_is_the_papers_full_row(budget, miou, auc, auc_at):
    initial, step = map(int, budget.split("-"))
    percent = [initial + cycle * step for cycle in range(5)]
    assert percent[-1] == auc_at
    found = area_under_budget([p / 100 for p in percent], [miou] * 5)
    assert found == pytest.approx(auc, abs=0.0051)


def test_area_is_the_trapezoid_rule():
    rng = np.random.default_rng(3)
    fractions, miou = np.sort(rng.random(7)), rng.random(7) * 100
    expected = np.trapezoid(miou, fractions) if hasattr(np, "trapezoid") else None
    by_hand = sum((fractions[i + 1] - fractions[i]) * (miou[i] + miou[i + 1]) / 2 for i in range(6))
    assert area_under_budget(fractions, miou) == pytest.approx(by_hand)
    assert expected is None or by_hand == pytest.approx(expected)


def test_a_single_point_spans_no_area():
    assert area_under_budget([0.3], [60.0]) == 0.0


def test_a_missing_point_makes_the_area_unknown():
    assert math.isnan(area_under_budget([0.1, 0.2], [60.0, math.nan]))


@pytest.mark.parametrize(
    ("fractions", "miou", "says"),
    [
        ([0.1, 0.2], [60.0], "one length"),
        ([], [], "at least 1"),
        ([[0.1, 0.2]], [[60.0, 61.0]], "one length"),
        ([0.2, 0.1], [60.0, 61.0], "increase"),
        ([0.1, 0.1], [60.0, 61.0], "increase"),
        ([10, 20], [60.0, 61.0], r"\[0, 1\]"),
        ([0.1, math.nan], [60.0, 61.0], r"\[0, 1\]"),
    ],
)
def test_a_curve_that_is_none_is_refused(fractions, miou, says):
    with pytest.raises(ValueError, match=says):
        area_under_budget(fractions, miou)


@given(st.lists(st.integers(0, 1000), min_size=9, max_size=9))
@settings(max_examples=50, derandomize=True)
def test_iou_counts_pixels_as_sets_do(counts):
    confusion = np.array(counts, dtype=np.int64).reshape(3, 3)
    pixels = [
        (truth, said)
        for truth in range(3)
        for said in range(3)
        for _ in range(int(confusion[truth, said]) // 50)
    ]
    small = confusion // 50
    iou = iou_of(small)
    for c in range(3):
        truth = {i for i, (t, _) in enumerate(pixels) if t == c}
        said = {i for i, (_, s) in enumerate(pixels) if s == c}
        if truth | said:
            assert iou[c] == pytest.approx(100 * len(truth & said) / len(truth | said))
        else:
            assert math.isnan(iou[c])


def test_an_absent_class_is_left_out_of_the_mean():
    confusion = np.array([[3, 1, 0], [0, 4, 0], [0, 0, 0]])
    assert iou_of(confusion)[:2].tolist() == [75.0, 80.0]
    assert math.isnan(iou_of(confusion)[2])
    assert miou_of(confusion) == 77.5


def test_a_class_predicted_but_never_there_counts_as_zero():
    assert miou_of(np.array([[3, 1], [0, 0]])) == 37.5


def test_no_pixel_at_all_has_no_mean():
    assert math.isnan(miou_of(np.zeros((2, 2), dtype=np.int64)))


def test_counts_near_the_limit_of_int64_stay_exact():
    pixels = 2**60
    assert miou_of(np.array([[pixels, 0], [0, pixels]])) == 100.0


@pytest.mark.parametrize("confusion", [np.zeros((2, 3)), np.zeros(4), np.array([[-1]])])
def test_what_is_no_confusion_matrix_is_refused(confusion):
    with pytest.raises(ValueError, match="confusion matrix"):
        iou_of(confusion)


def test_spread_is_the_sample_standard_deviation():
    mean, spread = mean_and_spread([1.0, 2.0, 4.0])
    assert mean == pytest.approx(7 / 3)
    assert spread == pytest.approx(math.sqrt(sum((v - 7 / 3) ** 2 for v in (1, 2, 4)) / 2))


def test_one_value_has_no_spread_and_none_has_no_mean():
    mean, spread = mean_and_spread([5.0])
    assert mean == 5.0
    assert math.isnan(spread)
    assert all(math.isnan(value) for value in mean_and_spread([]))
