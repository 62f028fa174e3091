"""The commands that help to write a spec: init, schema."""

from __future__ import annotations

from pathlib import Path

from alspec.cli import console
from alspec.spec.schema import json_schema
from alspec.spec.templates import template, with_values, write_spec


def init(target: Path, name: str | None) -> None:
    """Write a spec to start from, and its schema; look at the data where a folder is named."""
    from alspec.datasets.proposal import propose_study
    from alspec.run.devices import visible_gpus

    if target.is_dir() and name is None:
        proposal = propose_study(target, gpu=bool(visible_gpus()))
        console.say_notes(proposal.notes)
        text, target = with_values(template("folder"), proposal.values), target / "study.yaml"
    else:
        target = target / "study.yaml" if target.is_dir() else target
        text = template(name or (target.stem if target.stem == "project" else "quickstart"))
    schema = write_spec(target, text)
    console.out.print(f"{target} written, and {schema} for editors. Next: alspec check {target}")


def schema() -> None:
    """Print the JSON schema."""
    console.say_json(json_schema())
