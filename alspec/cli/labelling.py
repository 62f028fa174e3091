"""The commands of a labelling project: each parses and calls one function."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from alspec.cli.options import WORK_DIR, Devices, Overrides, ProjectSpec, TrustConfig, WorkDir


class AnnotationTool(str, Enum):
    """What a batch is handed over to."""

    folder = "folder"
    cvat = "cvat"
    labelstudio = "labelstudio"


class _MaskValues(str, Enum):
    """What pixels of a folder's masks are."""

    any = "any"
    ids = "ids"
    own = "own"
    colours = "colours"


def select(
    project: ProjectSpec,
    images: Annotated[
        int | None,
        typer.Option(
            "-n", min=1, help="Number of images in the batch.", show_default="the project's"
        ),
    ] = None,
    method: Annotated[str | None, typer.Option(help="Method, instead of the project's.")] = None,
    to: Annotated[AnnotationTool, typer.Option(help="Annotation tool to export for.")] = (
        AnnotationTool.folder
    ),
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Make a batch even if one waits for labels.")
    ] = False,
    overrides: Overrides = None,
    work_dir: WorkDir = WORK_DIR,
    devices: Devices = None,
    trust_config: TrustConfig = False,
) -> None:
    """Choose the next images to label, and hand them over (exit code 3: labels are waited for).

    Example: alspec select project.yaml -n 50 --to cvat
    """
    from alspec.cli import project as commands

    code = commands.select(
        project,
        overrides or (),
        images,
        to.value,
        work_dir,
        devices,
        method=method,
        anyway=anyway,
        trust_config=trust_config,
    )
    raise typer.Exit(code)


def ingest(
    project: ProjectSpec,
    paths: Annotated[list[Path], typer.Argument(help="Exports: zips, folders, XML or JSON.")],
    accept_unchanged: Annotated[
        bool, typer.Option("--accept-unchanged", help="Accept masks equal to the proposal.")
    ] = False,
    hours: Annotated[
        float | None, typer.Option(min=0, help="Hours of work on each delivery.")
    ] = None,
    annotator: Annotated[
        str | None, typer.Option(help="Whose annotations count: a name, or latest.")
    ] = None,
    mask_values: Annotated[
        _MaskValues,
        typer.Option(
            help="What masks in a folder hold: ids or colours of classes.csv, or the project's own."
        ),
    ] = _MaskValues.any,
    overrides: Overrides = None,
    work_dir: WorkDir = WORK_DIR,
) -> None:
    """Take masks back from an annotation tool (exit code 3 until a batch is complete).

    Example: alspec ingest project.yaml export.zip --hours 6.5
    """
    from alspec.cli import project as commands

    code = commands.ingest(
        project,
        overrides or (),
        paths,
        work_dir,
        accept_unchanged=accept_unchanged,
        hours=hours,
        annotator=annotator,
        mask_values=mask_values.value,
    )
    raise typer.Exit(code)


def predict(
    project: Annotated[
        Path, typer.Argument(metavar="PROJECT|DIR", help="The project's spec, or its folder.")
    ],
    output: Annotated[Path, typer.Option("-o", help="Folder for the masks.")],
    images: Annotated[
        Path | None, typer.Option(help="A folder of images.", show_default="the project's")
    ] = None,
    confidence: Annotated[
        bool, typer.Option("--confidence", help="Also write how sure the model is, 0 to 255.")
    ] = False,
    overrides: Overrides = None,
    work_dir: WorkDir = WORK_DIR,
    devices: Devices = None,
) -> None:
    """Write a mask for every image with the best model so far.

    Example: alspec predict project.yaml -o masks/
    """
    from alspec.cli import project as commands

    code = commands.predict(
        project, overrides or (), output, images, work_dir, devices, confidence=confidence
    )
    raise typer.Exit(code)
