"""Expands a study into its plan: one rule for each kind of step, equal keys are one step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from alspec.datasets.files.resizing import RESIZING
from alspec.errors import InputError, Problem
from alspec.plan.absolute_paths import with_absolute_paths
from alspec.plan.arms import (
    Arm,
    acquisition_function,
    arms_of,
    baseline_arms,
    chooses_first,
    methods_of,
)
from alspec.plan.content_revisions import ContentRevisions
from alspec.plan.dag import LabelledSet, Plan, Run, Setting
from alspec.plan.kinds import ACQUIRE, EVALUATE, TRAIN
from alspec.plan.kinds.acquire import AcquireParams, InitialParams
from alspec.plan.kinds.evaluate import EvaluateParams
from alspec.plan.kinds.train import DISCRIMINATOR, PADDING, TrainParams, may_pad
from alspec.plan.model_files import ModelFiles, model_files
from alspec.plan.names import FULL, check_labels, check_names
from alspec.plan.pools import ListedPool, check_budgets, check_sizes, open_pools
from alspec.plan.step import Step, StepKey
from alspec.spec.model import Budget, Method, Study, Training
from alspec.store.manifest import LocalPaths

MOST_STEPS = 300_000
"""In one study; as many take half a gigabyte to plan."""


def expand(
    study: Study, *, trust_config: bool = False, contents: ContentRevisions | None = None
) -> Plan:
    """The whole DAG of a study; lists the datasets, reads no pixel, writes nothing.

    Args:
        study: what is compared.
        trust_config: training may run the study's own MMSegmentation config file.
        contents: detects files that hold something else than a store first saw at the same size.

    Raises:
        InputError: files that are not there, a budget that a pool cannot fill, or names that
            clash; all at once, each problem with its place in the spec.
        PluginError: an acquisition function does not declare what the plan needs.
    """
    study = with_absolute_paths(study)
    problems: list[Problem] = []
    files, pools = ModelFiles(), []
    with _collecting(problems):
        files = model_files(study, trust_config=trust_config)
    with _collecting(problems):
        pools = open_pools(study, contents)
        check_budgets(study, pools)
    with _collecting(problems):
        check_sizes(study)
    with _collecting(problems):
        check_labels(study.methods)
    if not problems:
        with _collecting(problems):
            _check_size(study, pools)
    if problems:
        raise InputError(problems)
    builder = _Builder(study, files)
    pairs = [(pool, budget) for pool in pools for budget, _ in pool.budgets(study)]
    runs = [run for pool, budget in pairs for run in builder.runs(pool, budget)]
    settings = [_setting(pool, budget) for pool, budget in pairs]
    check_names(settings, runs)
    return Plan(study, builder.steps, tuple(runs), tuple(settings))


@contextmanager
def _collecting(problems: list[Problem]) -> Iterator[None]:
    try:
        yield
    except InputError as err:
        problems += err.problems


def _setting(pool: ListedPool, budget: Budget) -> Setting:
    return Setting(
        dataset=pool.spec.name,
        pool=pool.name,
        budget=budget.name,
        pool_step=pool.step.key,
        pool_images=len(pool.frames),
        labelled_images=budget.labelled_images(len(pool.frames)),
        validation_images=pool.validation_images,
    )


def _check_size(study: Study, pools: Sequence[ListedPool]) -> None:
    """Raises InputError for a study of more steps than anybody could run or look at."""
    cycles = sum(budget.cycles for pool in pools for budget, _ in pool.budgets(study))
    steps = 3 * cycles * len(study.methods) * len(study.ssl) * len(study.seeds)
    if steps > MOST_STEPS:
        what = (
            f"{cycles:,} labelled sets, {len(study.methods)} methods and {len(study.seeds):,} "
            f"seeds are up to {steps:,} steps; at most {MOST_STEPS:,} are planned. Use fewer seeds"
        )
        raise InputError([Problem("seeds", what, loc=("seeds",))])


@dataclass
class _Builder:
    """Lays out runs and collects their steps; the same key twice is the same step."""

    study: Study
    files: ModelFiles
    steps: dict[StepKey, Step] = field(default_factory=dict)

    def add(self, step: Step) -> StepKey:
        self.steps.setdefault(step.key, step)
        return step.key

    def runs(self, pool: ListedPool, budget: Budget) -> Iterator[Run]:
        """The runs of a setting: arm by arm, method by method, seed by seed."""
        self.add(pool.step)
        for arm in arms_of(self.study):
            for method in methods_of(self.study, arm):
                for seed in self.study.seeds:
                    yield self._run(pool, budget, method, arm, seed)
        for arm in baseline_arms(self.study):
            for seed in self.study.seeds:
                yield self._full(pool, budget, arm, seed)

    def _run(self, pool: ListedPool, budget: Budget, method: Method, arm: Arm, seed: int) -> Run:
        size = len(pool.frames)
        pool = pool.restricted(method.candidates.every) if method.candidates else pool
        self.add(pool.step)
        about = f"{pool.spec.name} {budget.name} {method.label}{_words(arm)} seed {seed}"
        labelled: StepKey | None = None
        sets: list[LabelledSet] = []
        for cycle, images in enumerate(budget.labelled_images(size)):
            label = f"{about} cycle {cycle}"
            if labelled is None and chooses_first(method.name):
                labelled = self._acquire(pool, method, images, seed, {}, f"{label} acquire")
            elif labelled is None:
                start = f"{pool.spec.name} {budget.name} seed {seed} initial set"
                labelled = self._initial(pool, images, seed, start)
            else:
                before = {"labelled": labelled, "train": sets[-1].train}
                labelled = self._acquire(pool, method, images, seed, before, f"{label} acquire")
            train = self._train(pool, {"labelled": labelled}, arm, seed, label)
            evaluate = self._evaluate(pool, train, label)
            sets.append(LabelledSet(cycle, images, 100 * images / size, labelled, train, evaluate))
        family = acquisition_function(method.name).family.value
        return self._as_run(pool, budget, (method.label, family), arm, seed, sets)

    def _full(self, pool: ListedPool, budget: Budget, arm: Arm, seed: int) -> Run:
        label = f"{pool.spec.name} full{_words(arm)} seed {seed}"
        train = self._train(pool, {}, arm, seed, label)
        evaluate = self._evaluate(pool, train, label)
        whole = LabelledSet(0, len(pool.frames), 100.0, None, train, evaluate)
        return self._as_run(pool, budget, (FULL, FULL), arm, seed, [whole])

    @staticmethod
    def _as_run(
        pool: ListedPool,
        budget: Budget,
        method_and_family: tuple[str, str],
        arm: Arm,
        seed: int,
        sets: list[LabelledSet],
    ) -> Run:
        method, family = method_and_family
        return Run(
            dataset=pool.spec.name,
            pool=pool.name,
            budget=budget.name,
            method=method,
            family=family,
            ssl=arm.ssl,
            mc_dropout=arm.mc_dropout,
            seed=seed,
            budget_percent=_percent(budget, len(pool.frames)),
            sets=tuple(sets),
        )

    # ---- one rule for each kind of step

    def _initial(self, pool: ListedPool, images: int, seed: int, label: str) -> StepKey:
        params = InitialParams(images, seed)
        return self.add(Step(ACQUIRE, params.recipe(), {"pool": pool.step.key}, {}, label))

    def _acquire(
        self,
        pool: ListedPool,
        method: Method,
        images: int,
        seed: int,
        before: dict[str, StepKey],
        label: str,
    ) -> StepKey:
        """The next labelled set, or a method's own first; reads a model only where it needs one."""
        # A method's candidates are a pool of their own.
        params = replace(acquire_params(method, images, seed), candidates=None)
        inputs = {"pool": pool.step.key}
        if "labelled" in before:
            inputs["labelled"] = before["labelled"]
        local_paths: LocalPaths = {}
        if acquisition_function(method.name).needs:
            inputs["train"] = before["train"]
            local_paths = {"dataset": pool.place}
        return self.add(Step(ACQUIRE, params.recipe(), inputs, local_paths, label))

    def _train(
        self,
        pool: ListedPool,
        labelled: dict[str, StepKey],
        arm: Arm,
        seed: int,
        label: str,
    ) -> StepKey:
        params = train_params(self.study, self.files, pool, arm, seed)
        local_paths = {"dataset": pool.place, "model": self.files.local_paths}
        inputs = {"pool": pool.step.key, **labelled}
        return self.add(Step(TRAIN, params.recipe(), inputs, local_paths, f"{label} train"))

    def _evaluate(self, pool: ListedPool, train: StepKey, label: str) -> StepKey:
        params = EvaluateParams(pool.validation)
        size = self.study.evaluation.image_size
        if size is not None:
            params = replace(params, image_size=list(size), resizing=RESIZING)
        local_paths = {"dataset": pool.place}
        inputs = {"train": train}
        return self.add(Step(EVALUATE, params.recipe(), inputs, local_paths, f"{label} evaluate"))


def train_params(
    study: Study, files: ModelFiles, pool: ListedPool, arm: Arm, seed: int
) -> TrainParams:
    """The parameters of a train step."""
    return TrainParams(
        model=files.identity,
        mc_dropout=arm.mc_dropout,
        classes=pool.classes,
        training=_training_fields(study.training),
        s4gan=study.s4gan.model_dump(mode="json") if arm.ssl else None,
        seed=seed,
        resizing=RESIZING if study.training.scale else None,
        discriminator=DISCRIMINATOR if arm.ssl else None,
        padding=PADDING if may_pad(study.training, pool.spec.image_size) else None,
        devices=devices if (devices := study.execution.devices_a_training) > 1 else None,
    )


def acquire_params(method: Method, images: int, seed: int) -> AcquireParams:
    """The parameters of an acquire step.

    Args:
        method: what chooses.
        images: labelled then, in all.
        seed: the run's.
    """
    return AcquireParams(
        method=method.name,
        method_version=acquisition_function(method.name).version,
        method_params=method.params,
        candidates=method.candidates.model_dump() if method.candidates else None,
        images=images,
        seed=seed,
    )


def _training_fields(training: Training) -> dict[str, object]:
    """What decides a training; what came later says nothing where it is off."""
    off = {n for n in ("colour", "compile", "scale_step") if not getattr(training, n)}
    return training.model_dump(mode="json", exclude=off)


def _words(arm: Arm) -> str:
    return (" ssl" if arm.ssl else "") + (" dropout" if arm.mc_dropout else "")


def _percent(budget: Budget, pool_images: int) -> tuple[float, ...]:
    """The budget's labelled percentages as named; of images, as they come out in this pool."""
    totals = [budget.initial + cycle * budget.step for cycle in range(budget.cycles)]
    if budget.unit == "images":
        totals = [100 * total / pool_images for total in totals]
    return tuple(totals)
