"""Sends a study's figures to experiment trackers, from a process that cannot hold up the run.

`python -m alspec.report.tracking FOLDER TRACKER…` is that process: it reads what is finished from
the study's folder, as anybody could, and hands it to MMEngine's visualiser backends. It ends when
its standard input does. Whatever it meets, a network that is gone or a library that is broken, the
run goes on; at its end it is waited for a little, then ended.
"""

from __future__ import annotations

import importlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from alspec.errors import InputError
from alspec.plan.expand import expand
from alspec.report.study_results import StudyResults
from alspec.spec.load import load_study
from alspec.store.study_folder import StudyFolder
from alspec.system.interpreter import python_command, python_environment

if TYPE_CHECKING:
    from mmengine.visualization import BaseVisBackend


CLOSE_SECONDS = 20.0
"""For the last figures to be sent after a run."""

EVERY_SECONDS = 10.0
"""Between two looks at what is finished."""

BACKENDS = {
    "tensorboard": "mmengine.visualization:TensorboardVisBackend",
    "mlflow": "mmengine.visualization:MLflowVisBackend",
    "wandb": "mmengine.visualization:WandbVisBackend",
    "clearml": "mmengine.visualization:ClearMLVisBackend",
    "neptune": "mmengine.visualization:NeptuneVisBackend",
    "dvclive": "mmengine.visualization:DVCLiveVisBackend",
    "aim": "mmengine.visualization:AimVisBackend",
}
"""Trackers by name; any other visualiser backend is named as `module:Class`."""


@contextmanager
def tracking(
    folder: StudyFolder, trackers: Sequence[str], note: Callable[[str], None]
) -> Iterator[None]:
    """Have trackers hear of what is finished while the block runs.

    Args:
        folder: the study's.
        trackers: names of `BACKENDS`, or `module:Class`.
        note: called when a tracker did not receive everything.

    Raises:
        InputError: a name that is neither; before the block.
    """
    for name in trackers:
        if name not in BACKENDS and ":" not in name:
            known = ", ".join(BACKENDS)
            raise InputError.at(f"--track {name}", f"no such tracker. Known: {known}")
    if not trackers:
        yield
        return
    folder.logs.mkdir(parents=True, exist_ok=True)
    log = folder.logs / "tracking.txt"
    with log.open("ab") as written:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            python_command("alspec.report.tracking", [str(folder.root.absolute()), *trackers]),
            stdin=subprocess.PIPE,
            stdout=written,
            stderr=written,
            env=python_environment(),
            start_new_session=True,
        )
    try:
        yield
    finally:
        if why := _end_of(process):
            note(f"tracking {why}; the results are complete in {folder.root}. Log: {log}")


def _end_of(process: subprocess.Popen[bytes]) -> str:
    """Close the process's input and wait a little; what went wrong, in words."""
    with suppress(OSError):
        if process.stdin:
            process.stdin.close()
    try:
        code = process.wait(CLOSE_SECONDS)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return f"did not end within {CLOSE_SECONDS:g} s and was stopped"
    return f"ended with {code}" if code else ""


def main() -> None:
    """Send what is finished, again and again, until standard input ends; then once more."""
    root, *names = sys.argv[1:]
    folder = StudyFolder(Path(root).parent, Path(root).name)
    backends = [_backend(name, folder) for name in names]
    sent: set[tuple[object, ...]] = set()
    running = True
    while running:
        ready, _, _ = select.select([sys.stdin], [], [], EVERY_SECONDS)
        running = not ready
        if folder.spec.is_file():
            _send(folder, backends, sent)
    for backend in backends:
        backend.close()


def _backend(name: str, folder: StudyFolder) -> BaseVisBackend:
    """A visualiser backend that writes below the study's folder, as far as it writes files."""
    module, _, attribute = BACKENDS.get(name, name).partition(":")
    place = folder.root / "tracking" / name.replace(":", ".")
    options: dict[str, dict[str, object]] = {
        "mlflow": {"exp_name": folder.study},
        "wandb": {"init_kwargs": {"name": folder.study}},
    }
    made = getattr(importlib.import_module(module), attribute)
    return made(save_dir=str(place), **options.get(name, {}))


def _send(
    folder: StudyFolder, backends: Sequence[BaseVisBackend], sent: set[tuple[object, ...]]
) -> None:
    """MIoU by labelled images, a curve for each run; only what was not sent before."""
    found = StudyResults(folder, expand(load_study(folder.spec)), folder.report)
    for row in found.results.to_dict("records"):
        arm = "_ssl" * bool(row["ssl"]) + "_dropout" * bool(row["mc_dropout"])
        name = f"{row['dataset']}_{row['budget']}_{row['method']}{arm}_seed{row['seed']}"
        point = (name, int(row["labelled_images"]))
        if point not in sent:
            for backend in backends:
                backend.add_scalar(f"miou/{name}", float(row["miou"]), step=point[1])
            sent.add(point)


if __name__ == "__main__":
    main()
