import struct
import xml.etree.ElementTree as ElementTree

import matplotlib
import pytest
from factories.study import MadeStudy

from alspec.report.curves import COLOURS, MARKERS, _look, draw_setting
from alspec.results.standings import comparisons
from alspec.results.table import collect
from alspec.spec.model import Budget
from alspec.store.store import Store


def drawn(made, root, wanted=None):
    store = Store(root)
    made.commit(store, *([wanted] if wanted else []))
    return draw_setting(comparisons(made.plan, collect(made.plan, store)))


def test_a_figure_is_the_same_bytes_each_time(tmp_path):
    made = MadeStudy(methods=("random", "entropy"), seeds=(0, 1))
    assert drawn(made, tmp_path / "a") == drawn(made, tmp_path / "b")


def test_the_users_own_style_changes_nothing(tmp_path):
    made = MadeStudy(methods=("random",), seeds=(0,))
    plain = drawn(made, tmp_path)
    with matplotlib.rc_context({"font.size": 30, "svg.hashsalt": None, "axes.facecolor": "red"}):
        assert drawn(made, tmp_path) == plain


def test_svg_is_well_formed_and_says_no_date(tmp_path):
    found = drawn(MadeStudy(methods=("random", "entropy"), seeds=(0,)), tmp_path)
    root = ElementTree.fromstring(found["svg"])
    assert root.tag.endswith("svg")
    assert b"<dc:date>" not in found["svg"]
    assert b"Matplotlib" not in found["svg"].split(b"-->")[-1]


def test_png_is_wider_with_a_panel_for_the_dropout_arm(tmp_path):
    def width(made, folder):
        return struct.unpack(">I", drawn(made, folder)["png"][16:20])[0]

    alone = width(MadeStudy(methods=("random",), seeds=(0,)), tmp_path / "a")
    both = width(MadeStudy(methods=("random",), dropout=("bald",), seeds=(0,)), tmp_path / "b")
    assert both > 1.4 * alone


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [
        ({"seeds": (0,)}, None),
        ({"seeds": (0, 1)}, lambda run, labelled: False),
        ({"seeds": (0, 1)}, lambda run, labelled: run.method == "random" and labelled.cycle < 2),
        ({"seeds": (0,)}, lambda run, labelled: run.family == "full"),
        ({"budgets": (Budget(name="x", initial=10, step=10, cycles=1),)}, None),
        ({"budgets": (Budget(name="long", initial=1, step=1, cycles=40),), "seeds": (0,)}, None),
    ],
)
def test_any_state_of_a_study_can_be_drawn(tmp_path, shape, wanted):
    found = drawn(MadeStudy(methods=("random", "entropy"), **shape), tmp_path, wanted)
    assert found["png"].startswith(b"\x89PNG")


def test_methods_are_told_apart_by_colour_and_marker():
    looks = {(_look(rank, True)["color"], _look(rank, True)["marker"]) for rank in range(20)}
    assert len(looks) == 20
    assert len(set(COLOURS)) == len(COLOURS)
    assert len(set(MARKERS)) == len(MARKERS)


def test_ssl_is_told_by_line_and_filling():
    on, off = _look(1, True), _look(1, False)
    assert on["linestyle"] == "-"
    assert off["linestyle"] != "-"
    assert (on["markerfacecolor"], off["markerfacecolor"]) == (on["color"], "white")
