"""The command groups `plugins` and `datasets`: each command parses and calls one function."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from alspec.cli.options import Json, Overrides
from alspec.plugins import GROUPS

plugins_app = typer.Typer(help="Acquisition functions and dataset kinds.", no_args_is_help=True)
datasets_app = typer.Typer(help="The kinds of datasets a spec can name.", no_args_is_help=True)


@plugins_app.command("list")
def plugins_list(as_json: Json = False) -> None:
    """List acquisition functions and dataset kinds, their parameters and packages.

    Example: alspec plugins list
    """
    from alspec.cli import plugins as commands

    commands.list_plugins(tuple(GROUPS), as_json=as_json)


@plugins_app.command("check")
def plugins_check(
    name: Annotated[str, typer.Argument(help="A method or a dataset kind.", show_default=False)],
    seconds: Annotated[
        float, typer.Option(min=1, help="Time limit for all trials together, in s.")
    ] = 120.0,
    memory: Annotated[float, typer.Option(min=0.1, help="Memory limit in GB.")] = 4.0,
    as_json: Json = False,
) -> None:
    """Try a plugin in a process of its own: does it keep its contract?

    Example: alspec plugins check margin
    """
    from alspec.cli import plugins as commands

    raise typer.Exit(commands.check(name, seconds, memory, as_json=as_json))


@plugins_app.command("new")
def plugins_new(
    name: Annotated[str, typer.Argument(help="The method's name.", show_default=False)],
    folder: Annotated[
        Path, typer.Argument(metavar="[DIR]", help="Folder to create it in.")
    ] = Path(),
) -> None:
    """Write a package with an acquisition function of your own, which installs and tests itself.

    Example: alspec plugins new contrast, then pip install -e './alspec-contrast[test]'
    """
    from alspec.cli import plugins as commands

    commands.new(name, folder)


@datasets_app.command("list")
def datasets_list(as_json: Json = False) -> None:
    """List the kinds of datasets and their parameters.

    Example: alspec datasets list
    """
    from alspec.cli import plugins as commands

    commands.list_plugins(("alspec.datasets",), as_json=as_json)


@datasets_app.command("make")
def datasets_make(
    kind: Annotated[str, typer.Argument(help="cityscapes, voc or a2d2.", show_default=False)],
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Root of the new dataset.", show_default=False)
    ],
    images: Annotated[
        int, typer.Option(help="Images to label; a third as many more are for val.")
    ] = 96,
    height: Annotated[int, typer.Option(min=16, help="Image height in pixels.")] = 128,
    width: Annotated[int, typer.Option(min=16, help="Image width in pixels.")] = 256,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the images.")] = 0,
) -> None:
    """Draw a small dataset in the official tree of a kind, to try a spec without the data.

    Example: alspec datasets make cityscapes /tmp/cityscapes --images 60
    """
    from alspec.cli import datasets as commands

    commands.make(kind, folder, images, (height, width), seed)


@datasets_app.command("check")
def datasets_check(
    what: Annotated[str, typer.Argument(metavar="SPEC|KIND", help="A study spec, or a kind.")],
    root: Annotated[
        Path | None, typer.Argument(help="The root of a dataset of that kind; not for a spec.")
    ] = None,
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Read every file of a dataset: counts, sizes, labels, damage, the share of each class.

    Example: alspec datasets check voc /data/voc
    """
    from alspec.cli import datasets as commands

    commands.check(what, root, overrides or (), as_json=as_json)
