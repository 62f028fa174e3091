"""MMEngine hooks of a training: the log by epoch, the guard against NaN, the progress report."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias, TypedDict

import torch
from mmengine.hooks import Hook, RuntimeInfoHook
from torch import Tensor

from alspec.errors import StepFailed

if TYPE_CHECKING:
    from mmengine.runner import Runner


Losses: TypeAlias = Mapping[str, Tensor]

Progress = Callable[[int, int], None]
"""Called with steps done and steps in all."""


FINITE_EVERY = 50
"""Iterations between two looks at the losses: each look waits for the device."""


class LogState(TypedDict):
    """What of a `TrainingLog` a checkpoint holds."""

    epochs: list[dict[str, float]]
    ended: int
    sums: dict[str, Tensor]
    count: int
    finite: Tensor | int


class QuietRuntimeInfo(RuntimeInfoHook):  # type: ignore[misc]
    """MMEngine's record of where the loop is, without the losses, which would wait for the GPU."""

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: object = None,
        outputs: Losses | None = None,
    ) -> None:
        """Leave the losses on the device: `TrainingLog` has them."""


class TrainingLog(Hook):  # type: ignore[misc]
    """Means of every loss and score over each epoch, summed on the device and read once an epoch.

    An epoch ends with the batch that its last image is in; of the epochs that end in the same
    batch, only the last one is recorded.

    Attributes:
        epochs: one mapping an epoch, name to mean, its number, from 1, under `epoch`, and under
            `lr` the learning rate of its last iteration (of the first group, as MMEngine logs it).
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
        self._finite: Tensor | int = 0
        """Iterations of this epoch before a sum stopped to be finite."""
        self._rate = 0.0

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: object = None) -> None:
        """Note the learning rate, which schedules change after an iteration."""
        rates = runner.optim_wrapper.get_lr()
        self._rate = float((rates["segmentor.lr"] if "segmentor.lr" in rates else rates["lr"])[0])

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: object = None,
        outputs: Losses | None = None,
    ) -> None:
        """Add this iteration; at the end of an epoch read the means and refuse NaN."""
        for name, value in (outputs or {}).items():
            detached = value.detach().float()
            self._sums[name] = self._sums[name] + detached if name in self._sums else detached
        self._count += 1
        self._finite = self._finite + torch.stack(list(self._sums.values())).isfinite().all().long()
        done, total = batch_idx + 1, runner.max_iters
        self.progress(done, total)
        ended = self.epochs_planned if done == total else self._epochs_ended(done)
        if ended > self._ended or done == total:
            self._ended = ended
            self._close_epoch(done)
        elif done % FINITE_EVERY == 0:
            self.refuse_infinite(done)

    def state(self) -> LogState:
        """What `load` takes to continue from here."""
        return {
            "epochs": self.epochs,
            "ended": self._ended,
            "sums": self._sums,
            "count": self._count,
            "finite": self._finite,
        }

    def load(self, state: LogState, device: torch.device) -> None:
        """Continue from what `state` gave."""
        self.epochs = list(state["epochs"])
        self._ended, self._count = state["ended"], state["count"]
        self._sums = {name: total.to(device) for name, total in state["sums"].items()}
        finite = state["finite"]
        self._finite = finite.to(device) if isinstance(finite, Tensor) else finite

    def refuse_infinite(self, iteration: int) -> None:
        """Raise StepFailed if a loss of this epoch was NaN or infinite; waits for the device."""
        finite = int(self._finite)
        if finite < self._count:
            wrong = [name for name, total in self._sums.items() if not math.isfinite(float(total))]
            first = iteration - self._count + finite + 1
            raise StepFailed(
                f"training diverged: {', '.join(wrong)} not finite from iteration {first} on. "
                "Lower training.lr or training.head_lr_factor"
            )

    def _epochs_ended(self, done: int) -> int:
        # The margin takes up the rounding of a quotient of whole numbers.
        whole = math.floor(done / self.iterations_per_epoch + 1e-6)
        return min(whole, self.epochs_planned - 1)

    def _close_epoch(self, iteration: int) -> None:
        self.refuse_infinite(iteration)
        means = {name: float(total) / self._count for name, total in self._sums.items()}
        self.epochs.append({"epoch": float(self._ended), "lr": self._rate, **means})
        self._sums, self._count, self._finite = {}, 0, 0
