"""The plan: runs, their labelled sets, and the DAG of distinct steps behind them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alspec.plan.kinds import TRAIN
from alspec.plan.step import Step, StepKey
from alspec.spec.model import Study

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """One point of a run's budget curve, and the steps that make it.

    Attributes:
        cycle: 0 for the initial set.
        labelled_images: how many images are labelled.
        labelled_percent: the same as a percentage of the pool.
        acquire: the step whose `labelled.txt` is the set; None for a Full baseline.
        train: the step that trains on it.
        evaluate: the step that measures it.
    """

    cycle: int
    labelled_images: int
    labelled_percent: float
    acquire: StepKey | None
    train: StepKey
    evaluate: StepKey


@dataclass(frozen=True, slots=True)
class Run:
    """One (dataset, pool, budget, method, SSL, dropout arm, seed) of the study.

    Attributes:
        method: the method's label, `full` for the baseline.
        family: random, single, batch or full.
        ssl: trained with s4GAN.
        mc_dropout: in the arm with dropout layers in the decoder.
        budget_percent: the budget's labelled percentages, as planned, cycle by cycle; a Full run
            has its neighbours' (its AUC spans the same range).
        sets: the labelled sets, one a cycle; one for a Full baseline.
    """

    dataset: str
    pool: str
    budget: str
    method: str
    family: str
    ssl: bool
    mc_dropout: bool
    seed: int
    budget_percent: tuple[float, ...]
    sets: tuple[LabelledSet, ...]

    @property
    def name(self) -> str:
        """The run's folder name in `selections/`, unique in the study."""
        arm = ("-ssl" if self.ssl else "") + ("-dropout" if self.mc_dropout else "")
        return f"{self.dataset}_{self.budget}_{self.method}{arm}_seed{self.seed}"


@dataclass(frozen=True, slots=True)
class Setting:
    """A (dataset, pool, budget) in which methods are compared.

    Attributes:
        pool_step: the step that lists the pool and measures its redundancy.
        labelled_images: cumulative, one number a cycle.
        validation_images: that every training is measured on.
    """

    dataset: str
    pool: str
    budget: str
    pool_step: StepKey
    pool_images: int
    labelled_images: tuple[int, ...]
    validation_images: int = 0


@dataclass(frozen=True)
class Plan:
    """A study expanded: everything known before anything runs."""

    study: Study
    steps: Mapping[StepKey, Step]
    runs: tuple[Run, ...]
    settings: tuple[Setting, ...]

    @property
    def trainings(self) -> int:
        """Distinct trainings."""
        return sum(step.kind is TRAIN for step in self.steps.values())

    @property
    def trainings_unshared(self) -> int:
        """Trainings if every run trained every one of its cycles itself."""
        return sum(len(run.sets) for run in self.runs)

    def table(self) -> DataFrame:
        """One row a labelled set, in the order of the runs: the identity columns of results.csv."""
        from pandas import DataFrame

        identity = ("dataset", "pool", "budget", "method", "family", "ssl", "mc_dropout", "seed")
        point = ("cycle", "labelled_images", "labelled_percent")
        rows = [
            {name: getattr(run, name) for name in identity}
            | {name: getattr(labelled, name) for name in point}
            for run in self.runs
            for labelled in run.sets
        ]
        return DataFrame(rows, columns=[*identity, *point])

    def consumers(self) -> Mapping[StepKey, tuple[StepKey, ...]]:
        """For each step the steps that read its artifacts."""
        found: dict[StepKey, list[StepKey]] = {key: [] for key in self.steps}
        for step in self.steps.values():
            for source in step.inputs.values():
                found[source].append(step.key)
        return {key: tuple(keys) for key, keys in found.items()}

    def in_order(self) -> Iterator[Step]:
        """Every step after its inputs (the order in which `expand` made them)."""
        yield from self.steps.values()
