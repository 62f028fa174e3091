from dataclasses import replace

import numpy as np

from alspec.plan.dag import Setting
from alspec.plan.step import StepKey
from alspec.report.verdict import verdict
from alspec.results.doubts import doubts
from alspec.results.predicted import PredictedClasses, predicted_classes
from alspec.results.standings import Comparison, Entry

ALL = PredictedClasses(("bg", "x"), ("bg", "x"))
ONE = PredictedClasses(("bg", "x"), ("bg",))


def entry(name, *miou, predicted=ALL):
    values = dict(enumerate(miou))
    return Entry(
        name, "single", False, name == "random", tuple(values), {2: values}, values, {},
        dict.fromkeys(values, predicted),
    )  # fmt: skip


def compared(*entries, full=()):
    setting = Setting("toy", "all", "10-10", StepKey("0" * 64), 100, (10, 20, 30))
    return Comparison(setting, False, (10.0, 20.0, 30.0), 30.0, None, entries, full)


def test_predicted_classes_are_read_off_the_confusion():
    matrix = np.array([[5, 0, 1], [2, 0, 0], [0, 0, 0]])
    found = predicted_classes(("a", "b", "c"), matrix)
    assert found == PredictedClasses(("a", "b"), ("a", "c"))
    assert found.missing == ("b",)
    assert not found.is_collapsed
    assert ONE.is_collapsed
    assert not PredictedClasses(("bg",), ("bg",)).is_collapsed


def test_sound_results_raise_no_doubt():
    comparison = compared(entry("random", 60, 61), entry("entropy", 64, 65), full=(entry("f", 70),))
    found = doubts(comparison)
    assert not found.allow_no_order
    assert (found.fewer, found.above_full) == ((), ())
    assert "claim nothing" not in verdict(comparison)


def test_models_of_one_class_are_not_ranked():
    comparison = compared(
        entry("random", 30, predicted=ONE), entry("entropy", 30, predicted=ONE),
        full=(entry("full", 30, predicted=ONE),),
    )  # fmt: skip
    assert doubts(comparison).one_class == ("bg",)
    said = verdict(comparison)
    assert "predicts one class only (bg)" in said
    assert "best" not in said
    assert "%" not in said


def test_a_class_that_is_never_predicted_is_named():
    comparison = compared(entry("random", 60), entry("entropy", 64, predicted=ONE))
    assert [(e.name, names) for e, names in doubts(comparison).fewer] == [("entropy", ("x",))]
    assert "entropy never predicts x: claim nothing" in verdict(comparison)


def test_full_below_a_method_is_flagged():
    comparison = compared(entry("random", 60), entry("entropy", 71), full=(entry("full", 70),))
    assert [e.name for e in doubts(comparison).above_full] == ["entropy"]
    assert "Training on all images is below entropy" in verdict(comparison)


def test_ties_are_not_ranked():
    comparison = compared(entry("random", 60.001), entry("entropy", 60.0), entry("coreset", 50))
    assert [e.name for e in doubts(comparison).tied] == ["random", "entropy"]
    said = verdict(comparison)
    assert "random and entropy are level (60.00 mIoU), so none is best" in said


def test_nothing_that_counts_is_not_called_unfinished():
    nothing = PredictedClasses((), ())
    empty = [replace(entry(n, 1, predicted=nothing), miou={}, curve={}) for n in ("random", "b")]
    assert verdict(compared(*empty)) == (
        "No pixel of the validation masks counts, so nothing is measured."
    )
