"""Writes a training's whole state at the boundary of a step, and resumes from it bit for bit."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING, Any

import torch
from mmengine.hooks import Hook
from mmengine.registry import LOOPS
from mmengine.runner import IterBasedTrainLoop
from torch import Tensor, nn

from alspec import __version__
from alspec.errors import Interrupted, StoreError
from alspec.models.ranks import ALONE, Ranks
from alspec.models.training.checkpoint import Checkpoints, shared
from alspec.models.training.hooks import LogState, TrainingLog
from alspec.models.training.optimizers import Schedule
from alspec.models.training.parallel import bare
from alspec.system import failpoints

if TYPE_CHECKING:
    from mmengine.optim import OptimWrapper
    from mmengine.runner import Runner


SECONDS = 60.0
SHARE = 0.05
"""Of the time that may go into writing checkpoints."""
_GO_ON, _CHECKPOINT, _STOP = range(3)
"""What processes want after an iteration; the highest is done by all."""
_NAME_BYTES = 64


def to_log(text: str) -> None:
    """Say something in the worker's log."""
    sys.stderr.write(f"{text}\n")


@dataclass(frozen=True)
class TrainingState:
    """All that a training resumes from, as a checkpoint holds it.

    Attributes:
        made_on: what must be the same for the same bits.
        position: iterations done.
        seconds: wall time of the loop up to here.
        model: weights and statistics by name.
        optimizers: the state of each optimizer, as torch gives it.
        schedules: the state of each learning rate's schedule.
        log: sums and means of the losses.
        random: states of torch's generators, by device type; a row a process, where several train.
    """

    made_on: Mapping[str, str | int]
    position: int
    seconds: float
    model: Mapping[str, Tensor]
    optimizers: Sequence[Mapping[str, object]]
    schedules: Sequence[Mapping[str, object]]
    log: LogState
    random: Mapping[str, Tensor]


@dataclass(frozen=True)
class CheckpointPolicy:
    """Where and how often a training writes checkpoints.

    Attributes:
        checkpoints: its checkpoints.
        seconds: between two of them.
        iterations: between two of them, in place of the seconds.
        stop: set to have the training write a checkpoint and end.
        warn: called when a checkpoint could not be written; the training continues.
    """

    checkpoints: Checkpoints
    seconds: float = SECONDS
    iterations: int | None = None
    stop: Event = field(default_factory=Event)
    warn: Callable[[str], None] = to_log

    def state_for(
        self, model: nn.Module, device: torch.device, ranks: Ranks = ALONE
    ) -> TrainingState | None:
        """The newest state that this model on these devices can resume from exactly, if any."""
        made_on = _made_on(device, ranks)
        state = self._newest(_shapes(model.state_dict()), made_on) if ranks.first else None
        if ranks.count > 1:
            state = shared(state, ranks)
        return TrainingState(**state) if state else None

    def _newest(
        self, shapes: Mapping[str, tuple[int, ...]], made_on: Mapping[str, str | int]
    ) -> dict[str, Any] | None:
        for state in self.checkpoints.valid():
            if state.get("made_on") == made_on and _shapes(state["model"]) == shapes:
                return state
        return None


@LOOPS.register_module()
class PositionedLoop(IterBasedTrainLoop):  # type: ignore[misc]
    """MMEngine's loop, without skipping batches: the sampler starts where the training resumes."""

    def run(self) -> nn.Module:
        """Train from the position that `before_train` leaves to the end."""
        self.runner.call_hook("before_train")
        self.runner.call_hook("before_train_epoch")
        while self._iter < self._max_iters and not self.stop_training:
            if not self.runner.model.training:
                self.runner.model.train()
            self.run_iter(next(self.dataloader_iterator))
        self.runner.call_hook("after_train_epoch")
        self.runner.call_hook("after_train")
        model: nn.Module = self.runner.model
        return model


class Resume(Hook):  # type: ignore[misc]
    """Restores a training before its first step, and keeps it after a step when that is due.

    Attributes:
        seconds_before: wall time of the loop before it was interrupted.
    """

    priority = "LOWEST"  # the optimizers, the schedules and the log have made their step

    def __init__(
        self,
        policy: CheckpointPolicy,
        state: TrainingState | None,
        log: TrainingLog,
        ranks: Ranks = ALONE,
    ) -> None:
        self.policy = policy
        self.ranks = ranks
        self.log = log
        self.seconds_before = state.seconds if state else 0.0
        self._state = state
        self._started = self._due = 0.0

    def before_train(self, runner: Runner) -> None:
        """Load everything into what was built as for a fresh start, the random states last."""
        if self._state is not None:
            _load(runner, self.log, self._state, self.ranks)
            self._state = None
        self._started = time.monotonic()
        self._due = self._started + self.policy.seconds

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: object = None, outputs: object = None
    ) -> None:
        """Keep the training when it is time, or when it is asked to stop.

        Of several processes, the first says when it is time, and any may be asked to stop.

        Raises:
            Interrupted: the training was asked to stop.
        """
        done = batch_idx + 1
        if done == runner.max_iters:
            return
        wanted = _GO_ON
        if self.ranks.first and self._is_due(done):
            wanted = _CHECKPOINT
        if self.policy.stop.is_set():
            wanted = _STOP
        wanted = self.ranks.highest(wanted)
        if wanted != _GO_ON:
            self._checkpoint(runner, done)
        if wanted == _STOP:
            self.policy.stop.set()
            raise Interrupted(
                f"stopped after iteration {done}; run the same command again to continue"
            )

    def _is_due(self, done: int) -> bool:
        if self.policy.iterations:
            return done % self.policy.iterations == 0
        return time.monotonic() >= self._due

    def _checkpoint(self, runner: Runner, done: int) -> None:
        self.log.refuse_infinite(done)
        begun = time.monotonic()
        seconds = self.seconds_before + begun - self._started
        try:
            state = _state(runner, self.log, done, seconds, self.ranks)
            if self.ranks.first:
                self.policy.checkpoints.save(done, vars(state))
        except (OSError, StoreError) as err:
            self.policy.warn(f"no checkpoint at iteration {done}, the training continues: {err}")
        self.ranks.wait()  # none ends, and has the others ended, before it is written
        now = time.monotonic()
        self._due = now + max(self.policy.seconds, (now - begun) / SHARE)


def _state(
    runner: Runner, log: TrainingLog, done: int, seconds: float, ranks: Ranks
) -> TrainingState:
    device = next(runner.model.parameters()).device
    random = {"cpu": ranks.stacked(torch.get_rng_state())}
    if device.type == "cuda":
        random["cuda"] = ranks.stacked(torch.cuda.get_rng_state(device))
    return TrainingState(
        made_on=_made_on(device, ranks),
        position=done,
        seconds=seconds,
        model=bare(runner.model).state_dict(),
        optimizers=[wrapper.state_dict() for wrapper in _optimizers(runner)],
        schedules=[schedule.state_dict() for schedule in _schedules(runner)],
        log=log.state(),
        random=random,
    )


def _load(runner: Runner, log: TrainingLog, state: TrainingState, ranks: Ranks) -> None:
    device = next(runner.model.parameters()).device
    bare(runner.model).load_state_dict(state.model)
    for wrapper, saved in zip(_optimizers(runner), state.optimizers, strict=True):
        wrapper.load_state_dict(saved)
        _match_layout(wrapper.optimizer)
    for schedule, saved in zip(_schedules(runner), state.schedules, strict=True):
        schedule.load_state_dict(saved)
    log.load(state.log, device)
    failpoints.at("checkpoint.restore")
    runner.train_loop._iter = state.position
    random = state.random
    if ranks.count > 1:
        random = {name: states[ranks.rank].clone() for name, states in random.items()}
    torch.set_rng_state(random["cpu"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(random["cuda"], device)


def _match_layout(optimizer: torch.optim.Optimizer) -> None:
    """Lay an optimizer's tensors out as their weights are: fused kernels ask for it."""
    for weight, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, Tensor) and value.shape == weight.shape:
                state[name] = torch.empty_like(weight, dtype=value.dtype).copy_(value)


def _optimizers(runner: Runner) -> list[OptimWrapper]:
    wrapper = runner.optim_wrapper
    return list(wrapper.values()) if hasattr(wrapper, "values") else [wrapper]


def _schedules(runner: Runner) -> Iterator[Schedule]:
    found = runner.param_schedulers
    for schedules in found.values() if isinstance(found, dict) else [found]:
        yield from schedules


def _shapes(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def _made_on(device: torch.device, ranks: Ranks = ALONE) -> dict[str, str | int]:
    """What must be the same for the same bits."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    if ranks.count > 1:
        own = torch.frombuffer(
            bytearray(name.encode()[:_NAME_BYTES].ljust(_NAME_BYTES)), dtype=torch.uint8
        )
        names = [bytes(row).decode(errors="replace").strip() for row in ranks.stacked(own).numpy()]
        name = " + ".join(names)
    return {
        "alspec": __version__,
        "torch": torch.__version__,
        "device": name,
        "threads": torch.get_num_threads(),
    }
