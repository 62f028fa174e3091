"""One step in this process: leased like a run's, checkpointed on a signal, committed."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from types import FrameType

from alspec.errors import InputError, Interrupted, Locked
from alspec.plan.kinds import TRAIN
from alspec.plan.step import Step
from alspec.run.devices import readers_beside
from alspec.run.executors import worker
from alspec.run.loop import is_finished
from alspec.store.leases import Leases
from alspec.store.store import Store

STOP_SECONDS = 8
"""For a training to write a checkpoint before it is stopped anyway."""

_SIGNALS = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP", "SIGALRM")
    if hasattr(signal, name)
]


def do_step(step: Step, store: Store, device: str) -> bool:
    """Do a step and commit it, unless it needs no more work.

    Args:
        step: whose inputs are done.
        store: where it is leased and committed.
        device: as torch spells it.

    Returns:
        Whether there was anything to do.

    Raises:
        InputError: it takes several devices together.
        Locked: another living process holds the step.
        Interrupted: SIGTERM, SIGUSR1 or SIGHUP; a training wrote a checkpoint before.
        KeyboardInterrupt: SIGINT; as well.
    """
    if is_finished(step, store):
        return False
    if step.devices > 1:
        what = f"takes {step.devices} devices together, which `alspec run` gives it"
        raise InputError.at(step.label, what)
    leases = Leases(store.folders.leases)
    try:
        holder = leases.take(step.key)
        if holder is not None:
            raise Locked(f"{step.label}: {holder} works on it. Wait for it, or end it")
        if is_finished(step, store):  # between the look and the lease
            return False
        worker_context = worker.prepare(device, store)
        worker_context.readers = readers_beside(1)
        with _stopping_on_signals(worker_context.stop if step.kind is TRAIN else None):
            worker.work_on(step, store, worker_context, lambda _done, _total: None)
    finally:
        leases.close()
    return True


@contextmanager
def _stopping_on_signals(stop: Event | None) -> Iterator[None]:
    """Have the first signal ask a training to stop; a second one, or some seconds, stop at once.

    Args:
        stop: what the training looks at; None stops at once.
    """
    first: list[int] = []

    def heard(number: int, _frame: FrameType | None) -> None:
        if stop is None or stop.is_set():
            raise _end_by(first[0] if first else number)
        first.append(number)
        stop.set()
        if hasattr(signal, "alarm"):
            signal.alarm(STOP_SECONDS)

    heeded = [n for n in _SIGNALS if signal.getsignal(n) is not signal.SIG_IGN]  # as nohup has it
    before = {number: signal.signal(number, heard) for number in heeded}
    try:
        yield
    except Interrupted as err:
        raise _end_by(first[0]) if first else err from None
    finally:
        if hasattr(signal, "alarm"):
            signal.alarm(0)
        for number, handler in before.items():
            signal.signal(number, handler)


def _end_by(number: int) -> BaseException:
    """The end of a process that a signal stopped, as the command line turns it into a code."""
    if number == signal.SIGINT:
        return KeyboardInterrupt()
    name = signal.Signals(number).name
    return Interrupted(f"stopped by {name}; run the same command again to continue")
