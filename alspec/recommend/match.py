"""Which of the paper's settings and rows a study's own can be put beside."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from alspec.plan.dag import Setting
from alspec.recommend.paper import PaperRow, paper_rows
from alspec.recommend.table6 import load_guide
from alspec.spec.model import (
    AllFrames,
    AugmentedFrames,
    Budget,
    DatasetSpec,
    FollowingFrames,
    ListedFrames,
    Method,
    Study,
)

POOL_IMAGES = 2640
"""Images in each of the paper's A2D2 pools, as the paper counts them."""

_WHOLE = {
    "cityscapes": ("cityscapes", 2975),
    "voc": ("pascal-voc", 10582),
    "a2d2": ("a2d2-3k", 40135),
}
_BUDGETS: Mapping[tuple[str, float, float, int], str] = {
    ("percent", 10, 10, 5): "10-10",
    ("percent", 5, 5, 5): "5-5",
    ("percent", 2, 2, 5): "2-2",
    ("images", 1000, 1000, 3): "3k",
}
_GROUPS: Mapping[tuple[int, int], int] = {(2640, 4): 5, (2640, 10): 11, (2646, 20): 21}
"""Pools of groups of X frames, as the authors' lists have them, by size and followers: their X."""
_LIST_OF_A_POOL = re.compile(r"pool[-_]([0-9]+f)", re.IGNORECASE)
_THIRD_SET_OF_5_5 = 15.0


class PaperSetting(NamedTuple):
    """A setting of the paper, by the names of its rows."""

    dataset: str
    budget: str

    def rows(self) -> tuple[PaperRow, ...]:
        """Its rows, all of one table."""
        return tuple(row for row in paper_rows() if (row.dataset, row.budget) == self)

    @property
    def source(self) -> str:
        """Where the paper has it: `Table 4, A2D2 Pool-11f, budget 10-10`."""
        title = load_guide().datasets[self.dataset].title
        return f"Table {self.rows()[0].table}, {title}, budget {self.budget}"

    @property
    def miou_at(self) -> float:
        """Percent labelled where mIoU is read; 5-5, where the paper is silent, at its third set."""
        return self.rows()[0].miou_at or _THIRD_SET_OF_5_5


def paper_setting(dataset: DatasetSpec, setting: Setting, budget: Budget) -> PaperSetting | None:
    """The paper's setting with this dataset, pool and budget; None where it has none.

    Pools of lists are known by the file's name (`pool_11f.txt`), whatever their size; budgets by
    their numbers, whatever their name.
    """
    numbers = (budget.unit, budget.initial, budget.step, budget.cycles)
    named = _BUDGETS.get(numbers), _paper_dataset(dataset, setting.pool_images)
    if named[0] is None or named[1] is None:
        return None
    found = PaperSetting(dataset=named[1], budget=named[0])
    return found if found.rows() else None


def _paper_dataset(dataset: DatasetSpec, pool_images: int) -> str | None:
    if isinstance(dataset.redundancy, AllFrames):
        name, images = _WHOLE.get(dataset.kind, ("", 0))
        return name if pool_images == images else None
    return _a2d2_pool(dataset) if dataset.kind == "a2d2" else None


def _a2d2_pool(dataset: DatasetSpec) -> str | None:
    match dataset.redundancy:
        case FollowingFrames(size=size, consecutive=following) if (size, following) in _GROUPS:
            return f"a2d2-pool-{_GROUPS[size, following]}f"
        case FollowingFrames(size=size, consecutive=following) if size == POOL_IMAGES:
            return f"a2d2-pool-{following}f"
        case AugmentedFrames(size=size, duplicates=5) if size == POOL_IMAGES:
            return "a2d2-pool-aug"
        case ListedFrames(path=path):
            found = _LIST_OF_A_POOL.fullmatch(Path(path).stem)
            return f"a2d2-pool-{found[1].lower()}" if found else None
    return None


def paper_method(method: Method) -> str | None:
    """What the paper's rows call a method of a study; None for candidates that it has not tried.

    >>> paper_method(Method(name="entropy", label="ours", candidates={"every": 5}))
    'uniform5+entropy'
    """
    if method.candidates is None:
        return method.name
    filtered = method.name == "entropy" and method.candidates.every == 5
    return "uniform5+entropy" if filtered else None


def comparable_rows(study: Study, paper: PaperSetting) -> Mapping[tuple[str, bool, bool], PaperRow]:
    """The paper's rows for those of the study's methods that it has, and for Full.

    Returns:
        By the method's label in the study, SSL and MC-dropout arm.
    """
    labels = [(paper_method(method), method.label) for method in study.methods]
    return {
        (label, row.ssl, row.mc_dropout): row
        for row in paper.rows()
        for name, label in (*labels, ("full", "full"))
        if row.method == name
    }
