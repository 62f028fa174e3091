"""A study made up by hand: a plan of any shape, and a store with artifacts of chosen IoUs."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from itertools import product
from pathlib import Path
from unittest import mock

import numpy as np

from alspec.plan.dag import LabelledSet, Plan, Run, Setting
from alspec.plan.kinds import ACQUIRE, EVALUATE, POOL, TRAIN, Kind
from alspec.plan.step import Step, StepKey
from alspec.spec.model import Budget, DatasetSpec, Evaluation, Method, Study
from alspec.store.manifest import StepRecord
from alspec.store.store import Store
from alspec.store.study_folder import StudyFolder
from alspec.system.atomic import write_array, write_csv, write_json, write_text

CAMVID = DatasetSpec(name="camvid", kind="folder", root="/secret", image_size=(360, 480))
CLASSES = ("road", "car", "pole|`thin`", "<b>sky</b>", "never there")
FAMILIES = {
    "random": "random", "uniform": "random", "entropy": "single", "equal": "single",
    "coreset": "batch", "bald": "single",
}  # fmt: skip
GAIN = {"random": 0, "uniform": 0.6, "entropy": 2.4, "equal": 2.0, "coreset": 3.4, "bald": 1.5}
Wanted = Callable[[Run, LabelledSet], bool]


def _record(key: str) -> StepRecord:
    """A step's description of which nothing but the key is read."""
    return {
        "key": key,
        "recipe": {"kind": "", "version": 1, "params": {}, "inputs": {}},
        "places": {},
        "label": "",
    }


def everything(run: Run, labelled: LabelledSet) -> bool:
    """Every labelled set is finished."""
    return True


class MadeStudy:
    """Plan and store; `confusions` holds what each evaluate step is made to say.

    With `listed` the pool has its images, with their classes' pixels, and labelled sets are of it.
    """

    def __init__(
        self,
        methods: tuple[str | Method, ...] = ("random", "entropy", "equal", "coreset", "uniform"),
        ssl: tuple[bool, ...] = (False, True),
        seeds: tuple[int, ...] = (0, 1, 2),
        budgets: tuple[Budget, ...] = (Budget(name="10-10", initial=10, step=10),),
        dropout: tuple[str, ...] = (),
        full: bool = True,
        pool_images: int = 2640,
        evaluation: Evaluation | None = None,
        datasets: tuple[DatasetSpec, ...] = (CAMVID,),
        listed: bool = False,
        **choices: object,
    ) -> None:
        self.listed = listed
        self.steps: dict[StepKey, Step] = {}
        self.confusions: dict[StepKey, np.ndarray] = {}
        self.pools: dict[str, StepKey] = {}
        self.pool_images = pool_images
        arms = {False: list(map(_method, methods)), True: list(map(_method, dropout))}
        runs: list[Run] = []
        settings: list[Setting] = []
        for dataset in datasets:
            self.dataset = dataset.name
            pool = self.pools[dataset.name] = self._step(POOL)
            for budget in budgets:
                counts = budget.labelled_images(pool_images)
                settings.append(
                    Setting(dataset.name, "11f", budget.name, pool, pool_images, counts)
                )
                for mc_dropout, compared in arms.items():
                    for arm, method, seed in product(ssl, compared, seeds):
                        runs.append(self._run(budget, method, arm, mc_dropout, seed))
                    if full and compared:
                        runs += [self._full(budget, mc_dropout, seed) for seed in seeds]
        own = [method for method in arms[True] if method.name != "random"]
        named = {method.label: method for method in (*arms[False], *own)}
        study = Study(
            study="street_study",
            datasets=datasets,
            budgets=budgets,
            methods=tuple(named.values()),
            ssl=ssl,
            seeds=seeds,
            evaluation=evaluation or Evaluation(),
            **choices,
        )
        self.plan = Plan(study, self.steps, tuple(runs), tuple(settings))

    def _step(self, kind: Kind, **params: object) -> StepKey:
        step = Step(kind, params | {"dataset": self.dataset})
        self.steps[step.key] = step
        return step.key

    def _measured(self, quality: float, rng: np.random.Generator, **params: object) -> tuple:
        train = self._step(TRAIN, **params)
        evaluate = self._step(EVALUATE, **params)
        self.confusions[evaluate] = confusion_of(quality, rng)
        return train, evaluate

    def _run(self, budget: Budget, method: Method, ssl: bool, mc_dropout: bool, seed: int) -> Run:
        name, label = method.name, method.label
        counts = budget.labelled_images(self.pool_images)
        sets = []
        for cycle, count in enumerate(counts):
            percent = 100 * count / self.pool_images
            who: dict[str, object] = {"seed": seed, "ssl": ssl}
            who |= {"dropout": mc_dropout, "images": count}
            rng = np.random.default_rng([seed, ssl, mc_dropout, count])
            quality = 52 + 6 * np.log10(percent) + 1.5 * ssl + rng.normal(0, 0.35)
            if cycle:  # the initial set is every method's own
                who["method"] = label
                rng = np.random.default_rng([seed, ssl, mc_dropout, count, len(label)])
                quality += GAIN[name] * (1 - 0.5**cycle) + rng.normal(0, 0.3)
            acquired = {key: value for key, value in who.items() if key != "dropout"}
            acquire = self._step(ACQUIRE, **acquired)
            sets.append(
                LabelledSet(cycle, count, percent, acquire, *self._measured(quality, rng, **who))
            )
        return Run(
            self.dataset, "11f", budget.name, label, FAMILIES[name], ssl, mc_dropout, seed,
            _percent(budget, self.pool_images), tuple(sets),
        )  # fmt: skip

    def _full(self, budget: Budget, mc_dropout: bool, seed: int) -> Run:
        rng = np.random.default_rng([seed, mc_dropout, 100])
        params = {"seed": seed, "dropout": mc_dropout, "whole": True}
        train, evaluate = self._measured(69 + rng.normal(0, 0.3), rng, **params)
        whole = LabelledSet(0, self.pool_images, 100.0, None, train, evaluate)
        return Run(
            self.dataset, "11f", budget.name, "full", "full", False, mc_dropout, seed,
            _percent(budget, self.pool_images), (whole,),
        )  # fmt: skip

    def commit(self, store: Store, wanted: Wanted = everything) -> None:
        """Commit the steps of every labelled set that is wanted finished, and the pool."""
        with mock.patch("os.fsync"):  # no test pulls the plug
            self._commit(store, wanted)

    def _commit(self, store: Store, wanted: Wanted) -> None:
        for pool in self.pools.values():
            with store.draft(pool, _record(pool)) as draft:
                if self.listed:
                    rows = [(image, image.partition("/")[0]) for image in self.images]
                    write_csv(draft / "pool.csv", ("id", "sequence"), rows)
                    write_array(draft / "class_pixels.npy", self.pixels)
                write_json(
                    draft / "pool.json",
                    {
                        "images": self.pool_images, "sequences": 4, "distinct_views": 990,
                        "views_per_image": 0.375,
                        "redundancy": "high", "notes": ["class map: release19"],
                    },
                )  # fmt: skip
        for run in self.plan.runs:
            for labelled in run.sets:
                if not wanted(run, labelled) or store.is_done(labelled.evaluate):
                    continue
                if labelled.acquire and not store.is_done(labelled.acquire):
                    with store.draft(labelled.acquire, _record(labelled.acquire)) as draft:
                        ids = self.choice(run, labelled)
                        write_text(draft / "labelled.txt", "".join(f"{i}\n" for i in ids))
                        seconds = 2.0 + labelled.cycle
                        write_json(draft / "acquire.json", {"seconds": seconds, "device": "cpu"})
                with store.draft(labelled.train, _record(labelled.train)) as draft:
                    described = {"seconds": 1234.5678, "device": "NVIDIA H100", "iterations": 9}
                    write_json(draft / "train.json", described)
                with store.draft(labelled.evaluate, _record(labelled.evaluate)) as draft:
                    np.save(draft / "confusion.npy", self.confusions[labelled.evaluate])
                    write_json(draft / "evaluate.json", {"classes": list(CLASSES), "images": 5})

    @cached_property
    def images(self) -> list[str]:
        """The pool's images in time order, in four sequences."""
        length = -(-self.pool_images // 4)
        return [f"{'abcd'[k // length]}/{k:05}.png" for k in range(self.pool_images)]

    @cached_property
    def pixels(self) -> np.ndarray:
        """Pixels of each class, and ignored ones, in each image of the pool."""
        pixels = np.random.default_rng(0).integers(0, 1000, (self.pool_images, len(CLASSES) + 1))
        pixels[:, -2] = 0  # the class that is never there
        return pixels.astype(np.uint32)

    def choice(self, run: Run, labelled: LabelledSet) -> list[str]:
        """The labelled set, in the order of choice."""
        if not self.listed:
            return [f"seq/{run.method}_{n}.png" for n in range(labelled.cycle + 1)]
        initial = np.random.default_rng(run.seed).permutation(self.pool_images)
        own = np.random.default_rng([run.seed, len(run.method)])
        first = run.sets[0].labelled_images
        order = [*initial[:first], *own.permutation(initial[first:])]
        return [self.images[k] for k in order[: labelled.labelled_images]]

    def in_folder(self, work_dir: Path, wanted: Wanted = everything) -> StudyFolder:
        """The study's folder over a store that holds what is wanted."""
        folder = StudyFolder(work_dir, self.plan.study.study)
        self.commit(folder.store, wanted)
        return folder


def _method(named: str | Method) -> Method:
    return named if isinstance(named, Method) else Method(name=named, label=named)


def confusion_of(quality: float, rng: np.random.Generator) -> np.ndarray:
    """Pixel counts, (5, 5), whose mean IoU is near `quality` percent; the last class is absent."""
    confusion = np.zeros((5, 5), dtype=np.int64)
    targets = np.clip(quality + np.array([12.0, 3.0, -13.0, -2.0]) + rng.normal(0, 0.4, 4), 1, 99)
    for rank, iou in enumerate(targets / 100):
        right = 2 * iou / (1 + iou)  # equal rows lose and gain alike, so IoU = r / (2 - r)
        confusion[rank, rank] = round(100_000 * right)
        confusion[rank, (rank + 1) % 4] = 100_000 - confusion[rank, rank]
    return confusion


def _percent(budget: Budget, pool_images: int) -> tuple[float, ...]:
    totals = [budget.initial + cycle * budget.step for cycle in range(budget.cycles)]
    whole = pool_images if budget.unit == "images" else 100
    return tuple(100 * total / whole for total in totals)
