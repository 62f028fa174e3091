"""The commands that help to write a spec: init, schema."""

from __future__ import annotations

from pathlib import Path

from alspec.cli import console
from alspec.spec.schema import json_schema
from alspec.spec.templates import template, with_values, write_spec


def init(target: Path, name: str | None) -> None:
    """Write a spec to start from, and its schema; look at the data where a folder is named."""
    from alspec.datasets.proposal import propose_study
    from alspec.labelling.propose import NAME, propose_project
    from alspec.run.devices import visible_gpus

    gpu = bool(visible_gpus())
    project = propose_project(target, gpu=gpu) if target.is_dir() and name is None else None
    if project is not None:
        console.say_notes(project.notes)
        text, target = project.text, target / NAME
    elif target.is_dir() and name is None:
        proposal = propose_study(target, gpu=gpu)
        console.say_notes(proposal.notes)
        text, target = with_values(template("folder"), proposal.values), target / "study.yaml"
    else:
        target = target / "study.yaml" if target.is_dir() else target
        text = template(name or (target.stem if target.stem == "project" else "quickstart"))
    schema = write_spec(target, text)
    verb = "select" if target.name == NAME else "check"
    text = f"{target} written, and {schema} for editors. Next: alspec {verb} {target}"
    console.out.print(text, markup=False)


def schema() -> None:
    """Print the JSON schema."""
    console.say_json(json_schema())
