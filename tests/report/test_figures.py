"""Figures are the same bytes for the same results, and show any state of a study."""

import re
import struct
import xml.etree.ElementTree as ElementTree

import matplotlib
import pytest
from factories.reports import document_of
from factories.study import CAMVID, MadeStudy

from alspec.report.figures.budget_curves import arms_of
from alspec.report.figures.style import COLOURS, MARKERS, look
from alspec.report.figures.svg import inline_svg, plain_svg
from alspec.results.standings import comparisons
from alspec.results.table import collect
from alspec.spec.model import Budget
from alspec.store.store import Store


def drawn(made, root, wanted=None):
    """The files of a made-up study's report."""
    store = Store(root)
    made.commit(store, *([wanted] if wanted else []))
    return document_of(made, store)[1].draw()


def test_figures_are_the_same_bytes_each_time(tmp_path):
    made = MadeStudy(
        methods=("random", "entropy", "coreset"), seeds=(0, 1, 2), pool_images=40, listed=True
    )
    found = drawn(made, tmp_path / "a")
    assert len(found) >= 2 * 8
    assert found == drawn(made, tmp_path / "b")


def test_the_users_own_style_changes_nothing(tmp_path):
    made = MadeStudy(methods=("random",), seeds=(0,))
    plain = drawn(made, tmp_path)
    with matplotlib.rc_context({"font.size": 30, "svg.hashsalt": None, "axes.facecolor": "red"}):
        assert drawn(made, tmp_path) == plain


def test_svgs_need_no_style_sheet_and_say_no_date(tmp_path):
    found = drawn(MadeStudy(methods=("random", "entropy"), seeds=(0, 1, 2)), tmp_path)
    for name in (name for name in found if name.endswith(".svg")):
        root = ElementTree.fromstring(found[name])
        assert root.tag.endswith("svg")
        for element in root.iter():
            assert "style" not in element.attrib
            assert not element.tag.endswith(("style", "metadata", "script"))
        assert b"date" not in found[name]
        assert b"font-size" in found[name]


def test_an_svg_in_a_page_has_ids_of_its_own():
    svg = plain_svg(
        b'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        b'width="72pt" height="36pt"><defs><path id="m1" d="M 0 0" style="stroke: #000000"/></defs>'
        b'<use xlink:href="#m1" clip-path="url(#p)"/></svg>'
    )
    assert b'width="96"' in svg
    page = inline_svg(svg, "f3", "A &quot;title&quot;")
    assert 'id="f3-m1"' in page
    assert 'href="#f3-m1"' in page
    assert "url(#f3-p)" in page
    assert 'stroke="currentColor"' in page
    assert 'aria-label="A &quot;title&quot;"' in page
    assert "xmlns" not in page


def test_names_of_classes_are_text_in_figures(tmp_path):
    found = drawn(MadeStudy(methods=("random", "entropy"), seeds=(0,)), tmp_path)
    svg = found["camvid_10-10_classes.svg"].decode()
    assert "&lt;b&gt;sky&lt;/b&gt;" in svg
    assert "<b>" not in svg


def test_more_than_six_curves_have_a_figure_an_arm(tmp_path):
    def arms(methods):
        made = MadeStudy(methods=methods, seeds=(0,))
        store = Store(tmp_path / str(len(methods)))
        made.commit(store)
        (comparison,) = comparisons(made.plan, collect(made.plan, store))
        return [(suffix, len(entries)) for suffix, entries in arms_of(comparison)]

    assert arms(("random", "entropy", "coreset")) == [("", 6)]
    assert arms(("random", "entropy", "coreset", "equal")) == [("_no-ssl", 4), ("_ssl", 4)]


def test_figures_fit_a_phone(tmp_path):
    found = drawn(MadeStudy(methods=("random", "entropy"), seeds=(0,)), tmp_path)
    for name in (name for name in found if name.endswith(".svg")):
        assert int(re.search(rb'width="(\d+)"', found[name])[1]) <= 500
    png = found["camvid_10-10_curves.png"]
    assert struct.unpack(">I", png[16:20])[0] == 784


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
    for name, data in found.items():
        assert data.startswith(b"\x89PNG" if name.endswith(".png") else b"<svg")


def test_every_setting_has_its_figures(tmp_path):
    two = tuple(CAMVID.model_copy(update={"name": name}) for name in ("a", "b"))
    made = MadeStudy(
        methods=("random", "entropy"), dropout=("random", "bald"), seeds=(0,), datasets=two
    )
    names = document_of(made, Store(tmp_path))[1]._painters
    assert {"a_10-10_curves", "b_10-10_curves", "a_10-10_dropout_curves"} <= set(names)


def test_methods_differ_by_colour_and_marker():
    looks = {(look(rank, True)["color"], look(rank, True)["marker"]) for rank in range(20)}
    assert len(looks) == 20
    assert len(set(COLOURS)) == len(COLOURS)
    assert len(set(MARKERS)) == len(MARKERS)


def test_ssl_is_a_matter_of_line_and_filling():
    on, off = look(1, True), look(1, False)
    assert off["linestyle"] == "-"
    assert on["linestyle"] != "-"
    assert (off["markerfacecolor"], on["markerfacecolor"]) == (off["color"], "white")
