"""Arguments and options that several commands have."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer


class Level(str, Enum):
    """Low or high."""

    low = "low"
    high = "high"


class ReportFormat(str, Enum):
    """What a report is written as."""

    md = "md"
    html = "html"
    text = "text"


class Shell(str, Enum):
    """Shells that can be completed in."""

    bash = "bash"
    zsh = "zsh"
    fish = "fish"


Spec = Annotated[Path, typer.Argument(help="The study spec, a YAML file.", show_default=False)]
ProjectSpec = Annotated[
    Path, typer.Argument(help="The spec of a labelling project.", show_default=False)
]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a value of the spec.")
]
WorkDir = Annotated[Path, typer.Option(help="Directory for studies and the artifact store.")]
Devices = Annotated[
    str | None,
    typer.Option(
        help="cpu, cpu:4 (workers), cuda:0,1, or cuda:0*3 (3 workers on one GPU).",
        show_default="all GPUs, else cpu",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="JSON on standard output.")]
TrustConfig = Annotated[
    bool,
    typer.Option(
        "--trust-config",
        help="The spec's own code may run: its MMSegmentation config, its lines for Slurm jobs.",
    ),
]
WORK_DIR = Path("work_dirs")
