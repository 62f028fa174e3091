"""The commands that help to write a spec: init, schema."""

from __future__ import annotations

import shlex
from pathlib import Path

from alspec.cli import console
from alspec.errors import InputError
from alspec.spec.schema import json_schema
from alspec.spec.templates import require_new, template, with_values, write_spec

_PROJECT = "project"


def init(target: Path, name: str | None, *, ask: bool = False) -> None:
    """Write a spec to start from, and its schema; look at the data where a folder is named."""
    if target.is_dir() and name is None:
        _init_folder(target, ask=ask)
        return
    if ask:
        what = "questions are about a folder of images: name one, and no --template"
        raise InputError.at("--ask", what)
    target = target / "study.yaml" if target.is_dir() else target
    chosen = name or (target.stem if target.stem == _PROJECT else "quickstart")
    _write(target, template(chosen), to_be_named=False)


def _init_folder(folder: Path, *, ask: bool) -> None:
    from alspec.cli.questions import ask_about, require_terminal
    from alspec.datasets.proposals.proposal import propose
    from alspec.run.devices import visible_gpus

    if ask:
        require_terminal()
    proposal = propose(folder, gpu=bool(visible_gpus()))
    console.say_notes(proposal.notes)
    target = folder / ("project.yaml" if proposal.is_project else "study.yaml")
    require_new(target)
    if ask:
        proposal = ask_about(proposal)
    text = with_values(template(proposal.template), proposal.values)
    _write(target, text, to_be_named=not (ask or proposal.has_names))


def _write(target: Path, text: str, *, to_be_named: bool) -> None:
    schema = write_spec(target, text)
    console.out.print(f"{target} written, and {schema} for editors.", markup=False)
    first = "name your classes in it, then " if to_be_named else ""
    console.out.print(f"Next: {first}alspec check {shlex.quote(str(target))}", markup=False)


def schema() -> None:
    """Print the JSON schema."""
    console.say_json(json_schema())
