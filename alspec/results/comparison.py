"""Two studies side by side: the mIoU of what both have finished, and the difference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alspec.results.intervals import t_interval

if TYPE_CHECKING:
    from pandas import DataFrame

SETTING = ("dataset", "pool", "budget", "method", "ssl", "mc_dropout", "labelled_percent")
"""What identifies a labelled set, beside the seed."""

PAIRED = (*SETTING, "seed", "cycle")


def compare(first: DataFrame, second: DataFrame) -> DataFrame:
    """Means over the seeds that both studies have of a labelled set.

    Args:
        first: as `results.csv`.
        second: of another study.

    Returns:
        A row for each setting, method and labelled share that both have: `seeds`, `first` and
        `second` (mean mIoU in percent), `difference` (second less first), its standard deviation
        over seeds `sd` (NaN for one seed), and its 95 % t interval `low`, `high` (from 3 seeds on).
    """
    rows = first.merge(second, on=list(PAIRED), suffixes=("_first", "_second"))
    rows = rows.dropna(subset=["miou_first", "miou_second"])
    rows = rows.assign(difference=rows["miou_second"] - rows["miou_first"])
    return (
        rows.groupby([*SETTING, "cycle"], sort=True)
        .agg(
            seeds=("seed", "nunique"),
            first=("miou_first", "mean"),
            second=("miou_second", "mean"),
            difference=("difference", "mean"),
            sd=("difference", "std"),
            low=("difference", lambda apart: t_interval(list(apart)).low),
            high=("difference", lambda apart: t_interval(list(apart)).high),
        )
        .reset_index()
    )
