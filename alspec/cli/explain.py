"""The command `explain`: why steps are done or will run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from alspec import api
from alspec.cli import console
from alspec.cli.project import spec_of
from alspec.store.study_folder import StudyFolder


def explain(
    spec: Path, name: str, overrides: Sequence[str], work_dir: Path, *, as_json: bool
) -> None:
    """Print why each step will run, or what a name means and what changed since it was done."""
    from alspec.plan.naming_steps import steps_named
    from alspec.run.explain import Explainer

    plan = api.plan(spec_of(spec, overrides), work_dir=work_dir)
    explainer = Explainer(plan, StudyFolder(work_dir, plan.study.study).store)
    steps = steps_named(plan, [name]) if name else plan.in_order()
    found = [explainer.explain(step) for step in steps]
    if as_json:
        explained = [one.to_json() for one in found]
        console.say_json({"study": plan.study.study, "steps": explained})
    elif name:
        console.say_explanations(found)
    else:
        console.say_reasons(plan.study.study, found)
