"""The finished labelled sets of a plan as tables, and the files users read them from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from alspec.plan.dag import LabelledSet, Plan, Run
from alspec.plan.kinds.acquire import AcquireFacts
from alspec.plan.kinds.evaluate import CONFUSION, EvaluateFacts
from alspec.plan.kinds.train import TrainFacts
from alspec.results.epochs import curve_table, read_epochs
from alspec.results.predicted import PredictedClasses, predicted_classes
from alspec.results.s4gan_signals import COLUMNS as SIGNALS
from alspec.results.s4gan_signals import IDENTITY, signal_rows
from alspec.results.stats import area_under_budget, intersection_and_union, iou_of, miou_of
from alspec.store.store import Store
from alspec.store.study_folder import StudyFolder
from alspec.system.atomic import write_csv
from alspec.system.printable import table_cell

if TYPE_CHECKING:
    from pandas import DataFrame

RUN_COLUMNS = (
    "study", "dataset", "pool", "budget", "method", "family", "ssl", "mc_dropout", "seed",
)  # fmt: skip
SET_COLUMNS = (*RUN_COLUMNS, "cycle", "labelled_images", "labelled_percent")
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "results": (
        *SET_COLUMNS, "miou", "train_seconds", "acquire_seconds", "device", "train_key",
    ),
    "classes": (*SET_COLUMNS, "class", "iou", "intersection", "union"),
    "runs": (*RUN_COLUMNS, "auc", "auc_budget", "miou_at", "miou_at_budget"),
}  # fmt: skip
"""The columns of each table (docs: reference, files)."""

DECIMALS = {"train_seconds": 3, "acquire_seconds": 3}
"""Decimals of the columns that are not percentages, which have four."""

SAME_PERCENT = 0.05
"""Two labelled percentages closer than this are one budget (1,000 of 40,135 images is 2.5 %)."""


@dataclass(frozen=True)
class Results:
    """What is finished of a study, in the plan's order; percentages are not rounded.

    Attributes:
        sets: one row a labelled set, the columns of results.csv.
        classes: one row a class of a labelled set, the columns of classes.csv.
        runs: one row a run with a finished set, the columns of runs.csv.
        predicted: the classes that each labelled set's model predicts, by the run's identity
            without the study, and the cycle.
    """

    sets: DataFrame
    classes: DataFrame
    runs: DataFrame
    predicted: Mapping[tuple[object, ...], PredictedClasses] = field(default_factory=dict)

    def tables(self) -> Mapping[str, DataFrame]:
        """The tables by the name of their file."""
        return {"results": self.sets, "classes": self.classes, "runs": self.runs}


def collect(plan: Plan, store: Store) -> Results:
    """Read every finished labelled set of the plan.

    Raises:
        StoreError: an artifact is corrupt.
    """
    sets: list[tuple[object, ...]] = []
    classes: list[tuple[object, ...]] = []
    runs: list[tuple[object, ...]] = []
    predicted: dict[tuple[object, ...], PredictedClasses] = {}
    for run in plan.runs:
        identity = _identity(plan, run)
        miou: dict[int, float] = {}
        for labelled in finished_sets(run, store):
            confusion = np.asarray(store.read_array(labelled.evaluate, CONFUSION), np.int64)
            miou[labelled.cycle] = miou_of(confusion)
            point = (labelled.cycle, labelled.labelled_images, labelled.labelled_percent)
            costs = _costs(labelled, store)
            sets.append((*identity, *point, miou[labelled.cycle], *costs, labelled.train))
            names = EvaluateFacts.read(store, labelled.evaluate).classes
            of = tuple(getattr(run, column) for column in RUN_COLUMNS[1:] if column != "family")
            predicted[(*of, labelled.cycle)] = predicted_classes(names, confusion)
            classes += [(*identity, *point, *row) for row in _class_rows(names, confusion)]
        if miou:
            runs.append((*identity, *_auc(plan, run, miou), *_miou_at(plan, run, miou)))
    return Results(
        _frame("results", sets), _frame("classes", classes), _frame("runs", runs), predicted
    )


def finished_sets(run: Run, store: Store) -> Iterator[LabelledSet]:
    """The labelled sets of a run that have been measured."""
    return (labelled for labelled in run.sets if store.is_done(labelled.evaluate))


def headline_budget(plan: Plan, budget_percent: Sequence[float]) -> float | None:
    """The first of the study's `miou_at` percentages that a budget contains; None if none does.

    One at the initial set, which all methods share, is taken only if there is no other.
    """
    cycles = {at: cycle_at(budget_percent, at) for at in plan.study.evaluation.miou_at}
    there = [at for at, cycle in cycles.items() if cycle is not None]
    return next((at for at in there if cycles[at]), there[0] if there else None)


def cycle_at(budget_percent: Sequence[float], percent: float) -> int | None:
    """The cycle at which a budget has this percentage labelled; None if it never has."""
    nearest = min(range(len(budget_percent)), key=lambda k: abs(budget_percent[k] - percent))
    return nearest if abs(budget_percent[nearest] - percent) <= SAME_PERCENT else None


def write_tables(plan: Plan, folder: StudyFolder) -> Results:
    """Write the tables of a study: results, classes, runs, training, and with s4GAN s4gan.

    s4gan.csv has what s4GAN accepted and how D scored, a row a distinct training.
    """
    results = collect(plan, folder.store)
    folder.root.mkdir(parents=True, exist_ok=True)
    for name, frame in results.tables().items():
        rows = frame.itertuples(index=False, name=None)
        write_csv(folder.table(name), COLUMNS[name], [_cells(COLUMNS[name], row) for row in rows])
    epochs = read_epochs(folder.store, results.sets["train_key"])
    header, curves = curve_table(results.sets, epochs)
    write_csv(folder.table("training"), header, curves)
    signals = signal_rows(results.sets, epochs)
    if signals:
        write_csv(folder.table("s4gan"), (*IDENTITY, *SIGNALS), signals)
    else:
        folder.table("s4gan").unlink(missing_ok=True)
    return results


def _identity(plan: Plan, run: Run) -> tuple[object, ...]:
    """The values of RUN_COLUMNS."""
    return (plan.study.study, *(getattr(run, column) for column in RUN_COLUMNS[1:]))


def _costs(labelled: LabelledSet, store: Store) -> tuple[float, float, str]:
    """Seconds of training, seconds of acquisition, and the device trained on."""
    nan, trained, acquired = float("nan"), labelled.train, labelled.acquire
    train = TrainFacts.read(store, trained) if store.is_done(trained) else TrainFacts(nan, "")
    acquire = AcquireFacts(nan)
    if acquired is not None and store.is_done(acquired):
        acquire = AcquireFacts.read(store, acquired)
    return train.seconds, acquire.seconds, train.device


def _class_rows(
    names: Sequence[str], confusion: NDArray[np.int64]
) -> Iterator[tuple[str, float, int, int]]:
    """Class, IoU in percent, pixels of intersection and of union."""
    iou = iou_of(confusion).tolist()
    intersection, union = (counts.tolist() for counts in intersection_and_union(confusion))
    return zip(names, iou, intersection, union, strict=True)


def _auc(plan: Plan, run: Run, miou: Mapping[int, float]) -> tuple[float, float]:
    """AUC@B and B in percent; NaN where the study asks for none or the budget is one point."""
    percent = run.budget_percent
    if not plan.study.evaluation.auc or len(percent) < 2:
        return np.nan, np.nan
    if len(miou) < len(run.sets):
        return np.nan, percent[-1]
    if run.family == "full":
        percent, curve = (percent[0], percent[-1]), [miou[0], miou[0]]
    else:
        curve = [miou[labelled.cycle] for labelled in run.sets]
    return area_under_budget([p / 100 for p in percent], curve), percent[-1]


def _miou_at(plan: Plan, run: Run, miou: Mapping[int, float]) -> tuple[float, float]:
    """The mIoU at the headline budget, and that budget in percent; NaN where there is none."""
    at = headline_budget(plan, run.budget_percent)
    if at is None:
        return np.nan, np.nan
    cycle = 0 if run.family == "full" else cycle_at(run.budget_percent, at)
    return (np.nan if cycle is None else miou.get(cycle, np.nan)), at


def _frame(name: str, rows: Sequence[tuple[object, ...]]) -> DataFrame:
    from pandas import DataFrame

    return DataFrame(rows, columns=list(COLUMNS[name]))


def _cells(columns: Sequence[str], row: Sequence[object]) -> list[str]:
    return [_cell(column, value) for column, value in zip(columns, row, strict=True)]


def _cell(column: str, value: object) -> str:
    if isinstance(value, (bool, np.bool_)):
        return str(int(value))
    if isinstance(value, (float, np.floating)):
        return "" if np.isnan(value) else f"{value:.{DECIMALS.get(column, 4)}f}"
    return table_cell(str(value))
