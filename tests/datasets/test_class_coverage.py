import numpy as np
import pytest

from alspec.datasets.base import Split
from alspec.datasets.class_coverage import coverage_line, coverage_problems
from alspec.datasets.kinds.folder import Spec
from alspec.errors import Problem, grouped

CLASSES = ("road", "car", "sky")


def spec(**changes):
    return Spec.model_validate(
        {
            "name": "mine", "kind": "folder", "root": "somewhere", "images": "a", "masks": "b",
            "classes": list(CLASSES), "val": {"images": "c", "masks": "d"}, **changes,
        }
    )  # fmt: skip


def found(pool, val, **changes):
    pixels = {Split.POOL: np.array(pool), Split.VAL: np.array(val)}
    return [problem.what for problem in coverage_problems(spec(**changes), CLASSES, pixels)]


def test_whole_splits_are_good():
    assert found([1, 1, 1, 0], [1, 1, 1, 3]) == []


def test_a_class_without_a_pixel_is_named_with_its_split():
    (what,) = found([5, 0, 5, 0], [5, 0, 5, 0])
    assert "class `car` has no pixel in the masks of the pool and of val" in what
    assert "`absent: [car]`" in what
    (what,) = found([5, 0, 0, 0], [5, 1, 1, 0])
    assert "classes `car`, `sky` have no pixel in the masks of the pool." in what
    one, other = found([5, 0, 5, 0], [5, 5, 0, 0])
    assert "`car` has no pixel in the masks of the pool." in one
    assert "`sky` has no pixel in the masks of val." in other


def test_absent_classes_are_allowed_and_known():
    assert found([5, 0, 5, 0], [5, 0, 5, 0], absent=["car"]) == []
    (what,) = found([5, 1, 5, 0], [5, 1, 5, 0], absent=["cat"])
    assert "`cat`" in what


def test_a_split_without_a_counted_pixel_is_never_allowed():
    (what,) = found([1, 1, 1, 0], [0, 0, 0, 9], absent=list(CLASSES), ignored_share=1.0)
    assert "no pixel of val counts" in what


def test_the_ignored_share_is_limited():
    assert found([10, 10, 10, 30], [1, 1, 1, 0]) == []
    (what,) = found([10, 10, 10, 31], [1, 1, 1, 0])
    assert "50.8 % of the pixels of the pool" in what
    assert "`ignored_share: 0.51`" in what
    assert found([10, 10, 10, 31], [1, 1, 1, 0], ignored_share=0.51) == []


@pytest.mark.parametrize("seed", range(200))
def test_what_is_accepted_has_a_pixel_of_each_class_that_is_not_named_absent(seed):
    rng = np.random.default_rng(seed)
    pixels = {split: rng.integers(0, 3, 4) * rng.integers(0, 50, 4) for split in Split}
    absent = [name for name in CLASSES if rng.random() < 0.3]
    limit = float(rng.choice([0.0, 0.5, 1.0]))
    problems = coverage_problems(spec(absent=absent, ignored_share=limit), CLASSES, pixels)
    good = all(
        counts[:-1].any()
        and counts[-1] <= limit * counts.sum()
        and all(counts[i] for i, name in enumerate(CLASSES) if name not in absent)
        for counts in pixels.values()
    )
    assert good == (not problems)


def test_the_shares_in_one_line():
    line = coverage_line(Split.VAL, CLASSES, np.array([600, 399, 0, 1]))
    assert line == "val: road 60.1 %, car 39.9 %, sky 0 %; 0.1 % ignored"


def test_many_problems_of_one_kind_are_one_sentence():
    many = [Problem(f"m{i}.png", f"values {i} belong to no class: `a` {i}") for i in range(9)]
    other = [Problem("x.png", "it is empty"), Problem("y.png", "it is empty")]
    first, *rest = grouped([*many, *other])
    assert first.where == "m0.png"
    assert first.what == "values 0 belong to no class: `a` 0 (the first of 9 with this problem)"
    assert rest == other
