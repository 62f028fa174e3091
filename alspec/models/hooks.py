"""MMEngine hooks of a training: the log by epoch, the guard against NaN, the progress report."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from mmengine.hooks import Hook
from torch import Tensor

from alspec.errors import StepFailed

Progress = Callable[[int, int], None]
"""Called with steps done and steps in all."""


class TrainingLog(Hook):  # type: ignore[misc]
    """Means of every loss and score over each epoch, summed on the device and read once an epoch.

    An epoch ends with the batch that its last image is in; of the epochs that end in the same
    batch, the last one stands for all.

    Attributes:
        epochs: one mapping an epoch, name to mean, and its number, from 1, under `epoch`.
    """

    priority = "LOW"

    def __init__(
        self, iterations_per_epoch: float, epochs_planned: int, progress: Progress
    ) -> None:
        self.iterations_per_epoch = iterations_per_epoch
        self.epochs_planned = epochs_planned
        self.progress = progress
        self.epochs: list[dict[str, float]] = []
        self._ended = 0
        self._sums: dict[str, Tensor] = {}
        self._count = 0

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Add this iteration; at the end of an epoch read the means and refuse NaN."""
        for name, value in outputs.items():
            detached = value.detach().float()
            self._sums[name] = self._sums[name] + detached if name in self._sums else detached
        self._count += 1
        done, total = batch_idx + 1, runner.max_iters
        self.progress(done, total)
        ended = self.epochs_planned if done == total else self._epochs_ended(done)
        if ended > self._ended or done == total:
            self._ended = ended
            self._close_epoch(done)

    def _epochs_ended(self, done: int) -> int:
        # The margin takes up the rounding of a quotient of whole numbers.
        whole = math.floor(done / self.iterations_per_epoch + 1e-6)
        return min(whole, self.epochs_planned - 1)

    def _close_epoch(self, iteration: int) -> None:
        means = {name: float(total) / self._count for name, total in self._sums.items()}
        wrong = [name for name, mean in means.items() if not math.isfinite(mean)]
        if wrong:
            raise StepFailed(
                f"training diverged: {', '.join(wrong)} not finite by iteration {iteration}. "
                "Lower training.lr or training.head_lr_factor"
            )
        self.epochs.append({"epoch": float(self._ended), **means})
        self._sums, self._count = {}, 0
