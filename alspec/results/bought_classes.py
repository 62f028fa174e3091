"""The classes of what was chosen, by pixels, beside the pool's: aggregated, never by image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alspec.plan.dag import Plan, Setting
from alspec.plan.kinds.evaluate import EvaluateFacts
from alspec.plan.kinds.pool import CLASS_PIXELS
from alspec.store.store import Store


@dataclass(frozen=True, slots=True)
class BoughtClasses:
    """Pixels of each class as percent of the labelled pixels that count.

    Attributes:
        names: of the C classes.
        pool: of the whole pool, (C,).
        chosen: of the images that each method chose, mean over seeds, (M, C).
    """

    names: tuple[str, ...]
    pool: NDArray[np.float64]
    chosen: NDArray[np.float64]

    @property
    def ratios(self) -> NDArray[np.float64]:
        """The chosen images' share over the pool's, (M, C); NaN for a class the pool lacks."""
        pool = np.where(self.pool > 0, self.pool, np.nan)
        return np.asarray(self.chosen / pool)


def bought_classes(
    plan: Plan, setting: Setting, store: Store, rows: Sequence[Sequence[Sequence[int]]]
) -> BoughtClasses | None:
    """The classes that methods bought; None where the pool's step counted no pixels.

    Args:
        plan: the study.
        setting: one of its settings.
        store: with its artifacts.
        rows: of each method and seed, the chosen images by their places in the pool's list.

    Raises:
        StoreError: an artifact is corrupt.
    """
    if not store.holds(setting.pool_step, CLASS_PIXELS):
        return None
    counts_NC = store.read_array(setting.pool_step, CLASS_PIXELS)[:, :-1].astype(np.int64)
    names = _class_names(plan, setting, store)
    if len(names) != counts_NC.shape[1]:
        return None
    pool = _percent(counts_NC.sum(axis=0))
    chosen = [
        np.mean([_percent(counts_NC[list(images)].sum(axis=0)) for images in seeds], axis=0)
        for seeds in rows
    ]
    return BoughtClasses(names, pool, np.array(chosen).reshape(len(rows), len(names)))


def _percent(pixels_C: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(100 * pixels_C / max(1, int(pixels_C.sum())))


def _class_names(plan: Plan, setting: Setting, store: Store) -> tuple[str, ...]:
    """The classes as a finished evaluation in the setting has them; none where there is none."""
    for run in plan.runs:
        if run.dataset == setting.dataset:
            for labelled in run.sets:
                if store.is_done(labelled.evaluate):
                    return tuple(EvaluateFacts.read(store, labelled.evaluate).classes)
    return ()
