"""The report of a labelling project shows what was measured, and the curve through it."""

from __future__ import annotations

import re

import numpy as np
import pytest

from alspec.labelling.summary import Summary
from alspec.labelling.worth import Advice, Gain, Worth
from alspec.report.figures.worth_curve import draw_worth
from alspec.report.project import markdown
from alspec.spec.project import Project

POINTS = [(20, 30.0, 28.0, 32.0), (40, 40.0, 37.5, 42.0), (60, 43.0, 41.0, 45.5)]
CURVE = Worth(Advice.GO_ON, POINTS, Gain(2.0, 1.0, 3.0), Gain(4.0, 2.0, 6.0), (60.0, 90.0, 0.4))


def report(worth: Worth | None) -> str:
    dataset = {
        "name": "d", "kind": "folder", "root": "d", "images": "i", "masks": "m",
        "classes": ["a", "b"],
    }  # fmt: skip
    project = Project.model_validate({"project": "p", "dataset": dataset, "batch": 20})
    summary = Summary("p", {"labelled": 60}, [], 30, worth, 0, None, None, waiting=False)
    return markdown(project, summary, np.zeros(2, np.int64))


@pytest.mark.parametrize(
    ("worth", "expected"),
    [
        (None, []),
        (Worth(Advice.CANNOT_TELL, POINTS[:1]), []),
        (Worth(Advice.CANNOT_TELL, POINTS[:2]), ["figures/miou_by_labels.svg"]),
        (CURVE, ["figures/miou_by_labels.svg"]),
    ],
)
def test_a_figure_is_shown_from_two_measures_on(worth, expected):
    assert re.findall(r"!\[[^]]+\]\(([^)]+)\)", report(worth)) == expected


def test_the_curve_is_there_once_there_is_one():
    before = draw_worth(Worth(Advice.CANNOT_TELL, POINTS[:2]), 20).svg.decode()
    assert "mIoU (%)" in before
    assert "next batch" not in before
    assert "expected of the next batch" in draw_worth(CURVE, 20).svg.decode()


def test_an_interval_beside_what_is_expected_is_drawn():
    aside = Worth(Advice.STOP, POINTS, Gain(0.0, 0.2, 0.4), Gain(0.0, 0.2, 0.4), (43.0, 0.0, 1.0))
    assert draw_worth(aside, 20).png.startswith(b"\x89PNG")


def test_the_same_measures_give_the_same_bytes():
    assert draw_worth(CURVE, 20) == draw_worth(CURVE, 20)
