"""The paper's rows are whole: eq. (1) holds where a row determines it."""

import pytest

from alspec.recommend.paper import paper_rows

FULL = [row for row in paper_rows() if row.method == "full"]


@pytest.mark.parametrize("row", FULL, ids=lambda row: f"{row.table}-{row.dataset}-{row.budget}")
def test_auc_of_full_is_the_labelled_span_times_miou(row):
    if row.budget == "3k":
        span = 2000 / 40135
    else:
        span = (row.auc_at - float(row.budget.split("-")[0])) / 100
    assert row.auc == pytest.approx(span * row.miou, abs=0.0051)


def test_full_stands_in_every_setting():
    settings = {(row.table, row.dataset, row.budget) for row in paper_rows()}
    assert {(row.table, row.dataset, row.budget) for row in FULL} == settings
    assert len(settings) == 13
    assert sum(row.budget != "3k" for row in FULL) == 18


def test_a_row_is_named_once():
    names = [
        (row.table, row.dataset, row.budget, row.method, row.ssl, row.mc_dropout)
        for row in paper_rows()
    ]
    assert len(set(names)) == len(names)


def test_rows_as_printed():
    (row,) = (r for r in paper_rows() if (r.table, r.method, r.ssl) == (5, "coreset", True))
    assert (row.miou, row.auc_printed, row.auc) == (61.13, 5.72, 2.86)
    assert (row.miou_at, row.auc_at, row.family, row.mc_dropout) == (7.5, 7.5, "batch", False)
    empty = [r for r in paper_rows() if r.miou_at is None]
    assert {(r.dataset, r.budget) for r in empty} == {("pascal-voc", "5-5")}
    assert {r.method for r in paper_rows() if r.auc is None} == {"uniform"}


def test_areas_lie_below_that_of_full_labels_or_close():
    full = {(r.dataset, r.budget, r.mc_dropout): r.auc for r in FULL}
    for row in paper_rows():
        if row.auc is not None:
            assert 0.6 < row.auc / full[row.dataset, row.budget, row.mc_dropout] < 1.02
