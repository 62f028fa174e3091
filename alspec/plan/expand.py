"""Expands a study into its plan: one rule for each kind of step, equal keys are one step."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alspec import plugins
from alspec.acquisition.base import Need
from alspec.datasets.base import Dataset, Frame, Split, open_dataset
from alspec.datasets.redundancy import Pool, build_pool, candidates, short_name
from alspec.errors import DataError, InputError, Problem
from alspec.plan.dag import LabelledSet, Plan, Run, Setting
from alspec.plan.model_files import config_sha256, file_sha256
from alspec.plan.step import Step, StepKey, StepKind
from alspec.spec.model import Budget, DatasetSpec, Method, ModelConfig, S4GAN, Study

INITIAL = "initial"
"""The name of the draw that makes the initial labelled set; no plugin can have it."""


@dataclass(frozen=True)
class _Arm:
    """An architecture and a way to train it; results are compared inside an arm of dropout."""

    ssl: bool
    mc_dropout: bool


@dataclass(frozen=True)
class _Pool:
    """A dataset of the study with its pool, listed."""

    spec: DatasetSpec
    dataset: Dataset
    pool: Pool
    step: StepKey


@dataclass
class _Builder:
    """Collects steps while runs are laid out; the same key twice is the same step."""

    study: Study
    steps: dict[StepKey, Step] = field(default_factory=dict)

    def add(self, kind: StepKind, params: Any, inputs: Any, places: Any, label: str) -> StepKey:
        step = Step(kind, params, inputs, places, label)
        self.steps.setdefault(step.key, step)
        return step.key


def expand(study: Study) -> Plan:
    """The whole DAG of a study; lists the datasets, reads no pixel, writes nothing.

    Raises:
        InputError: data that are not there, or a budget that a pool cannot fill; all at once, each
            problem with its place in the spec.
    """
    builder = _Builder(study)
    model = _model_params(study)
    pools = _open_pools(builder)
    _check_budgets(study, pools)
    runs: list[Run] = []
    settings: list[Setting] = []
    for pool in pools:
        for budget in study.budgets:
            counts = budget.labelled_images(len(pool.pool.frames))
            settings.append(
                Setting(
                    dataset=pool.spec.name,
                    pool=short_name(pool.spec.redundancy),
                    budget=budget.name,
                    pool_step=pool.step,
                    pool_images=len(pool.pool.frames),
                    labelled_images=counts,
                )
            )
            for arm in _arms(study):
                for method in _methods_of(study, arm):
                    for seed in study.seeds:
                        runs.append(_run(builder, model, pool, budget, method, arm, seed))
            for arm in _baseline_arms(study):
                for seed in study.seeds:
                    runs.append(_full(builder, model, pool, budget, arm, seed))
    return Plan(study, builder.steps, tuple(runs), tuple(settings))


# ---- arms -------------------------------------------------------------------------------------


def _wants_dropout(method: Method) -> bool:
    return Need.PASSES in plugins.load("alspec.acquisition", method.name).needs


def _arms(study: Study) -> Iterator[_Arm]:
    for mc_dropout in (False, True):
        for ssl in study.ssl:
            yield _Arm(ssl, mc_dropout)


def _methods_of(study: Study, arm: _Arm) -> tuple[Method, ...]:
    """The arm's methods; the dropout arm has a Random of its own beside those that need passes."""
    own = tuple(method for method in study.methods if _wants_dropout(method) == arm.mc_dropout)
    if arm.mc_dropout and own and all(method.name != "random" for method in own):
        return (Method(name="random", label="random"), *own)
    return own


def _baseline_arms(study: Study) -> Iterator[_Arm]:
    """Full once for each architecture: without dropout, and with it where a method needs it."""
    if "full" not in study.baselines:
        return
    for mc_dropout in (False, True):
        if _methods_of(study, _Arm(False, mc_dropout)):
            yield _Arm(False, mc_dropout)


# ---- data -------------------------------------------------------------------------------------


def _open_pools(builder: _Builder) -> list[_Pool]:
    pools = []
    problems: list[Problem] = []
    for index, spec in enumerate(builder.study.datasets):
        try:
            pools.append(_open_pool(builder, spec))
        except DataError as err:
            problems += [
                Problem(p.where, p.what, p.excerpt, ("datasets", index, *p.loc))
                for p in err.problems
            ]
    if problems:
        raise DataError(problems)
    return pools


def _open_pool(builder: _Builder, spec: DatasetSpec) -> _Pool:
    dataset = open_dataset(_absolute(spec))
    pool = build_pool(dataset.spec.redundancy, dataset.frames(Split.POOL))
    dataset.frames(Split.VAL)
    redundancy = spec.redundancy.model_dump(mode="json")
    redundancy.pop("path", None)
    params = {
        "dataset": _identity(dataset, Split.POOL),
        "redundancy": redundancy,
        "pool": hashlib.sha256("\n".join(f.id for f in pool.frames).encode()).hexdigest(),
    }
    places = {"dataset": dataset.spec.model_dump(mode="json")}
    step = builder.add(StepKind.POOL, params, {}, places, f"{spec.name} pool")
    return _Pool(dataset.spec, dataset, pool, step)


def _absolute(spec: DatasetSpec) -> DatasetSpec:
    """The spec with a root that holds wherever a worker is started."""
    changes: dict[str, Any] = {}
    if spec.root is not None:
        changes["root"] = str(Path(spec.root).expanduser().absolute())
    if getattr(spec.redundancy, "path", None):
        path = os.path.abspath(Path(spec.redundancy.path).expanduser())  # type: ignore[union-attr]
        changes["redundancy"] = spec.redundancy.model_copy(update={"path": path})
    return spec.model_copy(update=changes)


def _identity(dataset: Dataset, split: Split) -> dict[str, Any]:
    """What makes a dataset's pixels and labels what they are, wherever it lies."""
    kept = dataset.spec.model_dump(mode="json", exclude={"name", "root", "redundancy"})
    return {**kept, "split": split.value, "fingerprint": dataset.fingerprint(split)}


def _check_budgets(study: Study, pools: Sequence[_Pool]) -> None:
    problems = []
    for pool in pools:
        size = len(pool.pool.frames)
        for index, budget in enumerate(study.budgets):
            counts = budget.labelled_images(size)
            if counts[-1] > size:
                what = f"{budget.name} ends at {counts[-1]} labelled images, but the pool "
                what += f"`{pool.spec.name}` has {size}"
                problems.append(Problem("budgets", what, loc=("budgets", index)))
            elif counts[0] < 1 or any(b <= a for a, b in zip(counts, counts[1:], strict=False)):
                what = f"{budget.name} labels {', '.join(map(str, counts))} of the {size} images of "
                what += f"`{pool.spec.name}`: every cycle must add at least one. Use larger steps"
                problems.append(Problem("budgets", what, loc=("budgets", index)))
            else:
                problems += _short_of_candidates(study, pool, budget, counts)
    if problems:
        raise InputError(problems)


def _short_of_candidates(
    study: Study, pool: _Pool, budget: Budget, counts: Sequence[int]
) -> Iterator[Problem]:
    for index, method in enumerate(study.methods):
        if method.candidates is None:
            continue
        have = len(candidates(pool.pool.frames, method.candidates.every))
        if have < counts[-1]:
            yield Problem(
                "methods",
                f"{method.label} has {have} candidates in the pool `{pool.spec.name}`, too few to be "
                f"sure of the {counts[-1]} images of {budget.name}. Use a smaller `every`",
                loc=("methods", index),
            )


# ---- model ------------------------------------------------------------------------------------


def _model_params(study: Study) -> tuple[dict[str, Any], dict[str, Any]]:
    """What of the model goes into keys, and where its files lie."""
    params: dict[str, Any] = {}
    places: dict[str, Any] = {}
    if isinstance(study.model, ModelConfig):
        config = Path(study.model.config)
        params["config_sha256"], places["config"] = config_sha256(config)
        if study.model.checkpoint:
            checkpoint = Path(study.model.checkpoint).absolute()
            params["checkpoint_sha256"] = file_sha256(checkpoint, ("model", "checkpoint"))
            places["checkpoint"] = str(checkpoint)
    else:
        params["name"] = study.model
    if study.pretrained:
        pretrained = Path(study.pretrained).absolute()
        params["pretrained_sha256"] = file_sha256(pretrained, ("pretrained",))
        places["pretrained"] = str(pretrained)
    return params, places


# ---- runs -------------------------------------------------------------------------------------


def _name(arm: _Arm) -> str:
    return (" ssl" if arm.ssl else "") + (" dropout" if arm.mc_dropout else "")


def _run(
    builder: _Builder,
    model: tuple[dict[str, Any], dict[str, Any]],
    pool: _Pool,
    budget: Budget,
    method: Method,
    arm: _Arm,
    seed: int,
) -> Run:
    counts = budget.labelled_images(len(pool.pool.frames))
    about = f"{pool.spec.name} {budget.name} {method.label}{_name(arm)} seed {seed}"
    function = plugins.load("alspec.acquisition", method.name)
    sets = []
    labelled = builder.add(
        StepKind.ACQUIRE,
        {"method": INITIAL, "images": counts[0], "seed": seed},
        {"pool": pool.step},
        {},
        f"{pool.spec.name} {budget.name} seed {seed} initial set",
    )
    for cycle, count in enumerate(counts):
        if cycle:
            inputs = {"pool": pool.step, "labelled": labelled}
            places: dict[str, Any] = {}
            params = {
                "method": method.name,
                "method_version": function.version,
                "method_params": method.params,
                "candidates": method.candidates.model_dump() if method.candidates else None,
                "images": count,
                "seed": seed,
            }
            if function.needs:
                inputs["train"] = sets[-1].train
                places = {"dataset": pool.spec.model_dump(mode="json")}
            labelled = builder.add(
                StepKind.ACQUIRE, params, inputs, places, f"{about} cycle {cycle} acquire"
            )
        label = f"{about} cycle {cycle}"
        train = _train(builder, model, pool, {"labelled": labelled}, arm, seed, label)
        percent = 100 * count / len(pool.pool.frames)
        sets.append(
            LabelledSet(cycle, count, percent, labelled, train, _evaluate(builder, pool, train, label))
        )
    return Run(
        dataset=pool.spec.name,
        pool=short_name(pool.spec.redundancy),
        budget=budget.name,
        method=method.label,
        family=function.family.value,
        ssl=arm.ssl,
        mc_dropout=arm.mc_dropout,
        seed=seed,
        budget_percent=_percent(budget, len(pool.pool.frames)),
        sets=tuple(sets),
    )


def _full(
    builder: _Builder,
    model: tuple[dict[str, Any], dict[str, Any]],
    pool: _Pool,
    budget: Budget,
    arm: _Arm,
    seed: int,
) -> Run:
    label = f"{pool.spec.name} full{_name(arm)} seed {seed}"
    train = _train(builder, model, pool, {}, arm, seed, label)
    whole = LabelledSet(
        0, len(pool.pool.frames), 100.0, None, train, _evaluate(builder, pool, train, label)
    )
    return Run(
        dataset=pool.spec.name,
        pool=short_name(pool.spec.redundancy),
        budget=budget.name,
        method="full",
        family="full",
        ssl=arm.ssl,
        mc_dropout=arm.mc_dropout,
        seed=seed,
        budget_percent=_percent(budget, len(pool.pool.frames)),
        sets=(whole,),
    )


def _percent(budget: Budget, pool_images: int) -> tuple[float, ...]:
    """The budget's labelled percentages as named; of images, as they come out in this pool."""
    totals = [budget.initial + cycle * budget.step for cycle in range(budget.cycles)]
    if budget.unit == "images":
        totals = [100 * total / pool_images for total in totals]
    return tuple(totals)


def _train(
    builder: _Builder,
    model: tuple[dict[str, Any], dict[str, Any]],
    pool: _Pool,
    labelled: dict[str, StepKey],
    arm: _Arm,
    seed: int,
    label: str,
) -> StepKey:
    study = builder.study
    s4gan: S4GAN | None = study.s4gan if arm.ssl else None
    params = {
        "model": model[0],
        "mc_dropout": arm.mc_dropout,
        "classes": len(pool.dataset.classes),
        "training": study.training.model_dump(mode="json"),
        "s4gan": s4gan.model_dump(mode="json") if s4gan else None,
        "seed": seed,
    }
    places = {"dataset": pool.spec.model_dump(mode="json"), "model": model[1]}
    inputs = {"pool": pool.step, **labelled}
    return builder.add(StepKind.TRAIN, params, inputs, places, f"{label} train")


def _evaluate(builder: _Builder, pool: _Pool, train: StepKey, label: str) -> StepKey:
    params = {"dataset": _identity(pool.dataset, Split.VAL)}
    places = {"dataset": pool.spec.model_dump(mode="json")}
    return builder.add(
        StepKind.EVALUATE, params, {"train": train}, places, f"{label} evaluate"
    )


