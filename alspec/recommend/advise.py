"""Asks the guide on behalf of a study or of a folder of images: what is not given is measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from alspec.datasets.base import Split
from alspec.datasets.files.loose_images import LooseImages
from alspec.datasets.open import open_dataset
from alspec.datasets.pools.construction import build_pool, short_name
from alspec.errors import InputError
from alspec.plan.dag import Plan, Setting
from alspec.plan.kinds.pool import PoolFacts
from alspec.recommend.guide import Advice, Facts, advise, level_of_budget
from alspec.spec.model import DatasetSpec

if TYPE_CHECKING:
    from alspec.datasets.pools.redundancy import Measured

Progress = Callable[[str, int], None]
"""Hears of a dataset's name and of how many of its images have been read."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the user says; None is measured where there is a study or a folder, else left open.

    Attributes:
        redundancy: low or high.
        budget: low or high.
        ssl: may training use unlabelled images.

    Raises:
        InputError: a value is none of these.
    """

    redundancy: str | None = None
    budget: str | None = None
    ssl: bool | None = None

    def __post_init__(self) -> None:
        for name, value in (("redundancy", self.redundancy), ("budget", self.budget)):
            if value not in (None, "low", "high"):
                raise InputError.at(name, f"{value!r} is not one of 'low', 'high'")
        if self.ssl not in (None, False, True):
            raise InputError.at("ssl", f"{self.ssl!r} is not one of True, False, None")


@dataclass(frozen=True, slots=True)
class MeasuredPool:
    """A pool that was measured.

    Attributes:
        dataset: its name in the study, or the folder's.
        pool: what tables call it; `all` for a folder.
        redundancy: what was found.
    """

    dataset: str
    pool: str
    redundancy: Measured

    @classmethod
    def of_facts(cls, dataset: str, pool: str, facts: PoolFacts) -> MeasuredPool | None:
        """A pool as its step measured it; None if a former version measured something else."""
        from alspec.datasets.pools.redundancy import Measured

        if facts.distinct_views is None or facts.neighbours is None or facts.anywhere is None:
            return None
        lower, higher = facts.views_at
        found = Measured(
            images=facts.images,
            distinct_views=facts.distinct_views,
            views_at=(lower, higher),
            neighbours=facts.neighbours,
            anywhere=facts.anywhere,
            across_sequences=facts.across_sequences,
        )
        return cls(dataset, pool, found)

    def to_json(self) -> dict[str, object]:
        """Plain data, as in `recommend --json`."""
        found = self.redundancy
        return {
            "dataset": self.dataset,
            "pool": self.pool,
            "images": found.images,
            "distinct_views": found.distinct_views,
            "views_per_image": found.views_per_image,
            "neighbours": found.neighbours,
            "anywhere": found.anywhere,
            "across_sequences": found.across_sequences,
            "level": found.level,
        }


@dataclass(frozen=True, slots=True)
class Answer:
    """The guide's advice for one setting.

    Attributes:
        title: the setting in words; empty where none was given.
        advice: the cells that fit.
        measured: the pool, where it was measured.
    """

    title: str
    advice: Advice
    measured: MeasuredPool | None = None


def advice_for(
    plan: Plan | None, known: Known, progress: Progress = lambda *_: None
) -> Iterator[Answer]:
    """The guide's advice for each setting of a plan, or for what is known alone.

    Raises:
        DataError: an image cannot be read.
    """
    if plan is None:
        yield Answer("", _advise(known.redundancy, known.budget, known.ssl))
        return
    for spec in plan.study.datasets:
        found = None if known.redundancy else _measured(spec, progress)
        level = known.redundancy or (found.redundancy.level if found else None)
        for setting in (s for s in plan.settings if s.dataset == spec.name):
            about = f"{spec.name}, budget {setting.budget}: redundancy {level}"
            if found:
                last = setting.labelled_images[-1]
                views = found.redundancy.distinct_views
                about += (
                    f". {found.redundancy.in_words()} The budget: {last:,} labels on {views:,} "
                    "distinct views"
                )
            budget = known.budget or budget_level_of(setting)
            yield Answer(about, _advise(level, budget, known.ssl), found)


def advice_for_images(folder: Path, known: Known, progress: Progress = lambda *_: None) -> Answer:
    """The guide's advice for a folder of images, which are measured; no mask is needed.

    Raises:
        InputError: there is no folder, or no image in it.
        DataError: an image cannot be read.
    """
    from alspec.datasets.pools.redundancy import measured_redundancy

    images = LooseImages(folder)
    name = folder.resolve().name
    found = measured_redundancy(images, images.frames(), lambda done, _: progress(name, done))
    level = known.redundancy or found.level
    title = f"{name}: redundancy {level}. {found.in_words()}"
    advice = _advise(level, known.budget, known.ssl)
    return Answer(title, advice, MeasuredPool(name, "all", found))


def advice_of_setting(setting: Setting, redundancy: str | None) -> Advice:
    """The guide's advice for a setting, with and without SSL, both sides of what is not known."""
    return _advise(redundancy, budget_level_of(setting), None)


def budget_level_of(setting: Setting) -> str:
    """Where the setting's last labelled set lies in the guide: low, between or high."""
    last = setting.labelled_images[-1]
    return level_of_budget(100 * last / setting.pool_images, last)


def _measured(spec: DatasetSpec, progress: Progress) -> MeasuredPool:
    """The redundancy of a dataset's pool, read now."""
    from alspec.datasets.pools.redundancy import measured_redundancy

    dataset = open_dataset(spec)
    pool = build_pool(spec.redundancy, dataset.frames(Split.POOL))
    name = partial(progress, spec.name)
    found = measured_redundancy(dataset, pool.frames, lambda done, _: name(done))
    return MeasuredPool(spec.name, short_name(spec.redundancy), found)


def _advise(redundancy: str | None, budget: str | None, ssl: bool | None) -> Advice:
    facts: dict[str, object] = {"redundancy": redundancy, "budget": budget, "ssl": ssl}
    return advise(Facts.model_validate(facts))
