"""Options of `alspec run` alone."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer


class ExecutorName(str, Enum):
    """Where steps run."""

    local = "local"
    slurm = "slurm"
    ray = "ray"


Executor = Annotated[
    ExecutorName | None,
    typer.Option(help="Where steps run.", show_default="the spec's, else local"),
]
Jobs = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="Jobs of Slurm, or tasks of Ray, at most."),
]
LoaderWorkers = Annotated[int, typer.Option(min=0, help="Data loader processes of each training.")]
NoWait = Annotated[
    bool,
    typer.Option("--no-wait", help="Exit (code 4) when other runs work on what is left."),
]
Idle = Annotated[
    str | None,
    typer.Option(metavar="T", help="Exit after this time (90s, 15m, 2h) without work."),
]
Revise = Annotated[
    bool,
    typer.Option("--revise", help="Continue a study that was run from another spec file."),
]
Only = Annotated[
    list[str] | None,
    typer.Option(metavar="STEP", help="Run only these steps; their inputs must be finished."),
]
Until = Annotated[
    list[str] | None,
    typer.Option(metavar="STEP", help="Run these steps and the steps they depend on."),
]
Track = Annotated[
    list[str] | None,
    typer.Option(metavar="TRACKER", help="Also send results to tensorboard, mlflow, wandb, …."),
]
FullPaths = Annotated[
    bool, typer.Option("--full-paths", help="Name this machine's files in spec.yaml.")
]
