"""The commands about this machine: doctor, work."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path

from alspec.cli import console
from alspec.errors import ExitCode, InputError, StepFailed
from alspec.store.links import refuse_links
from alspec.store.permissions import check_owners
from alspec.store.store import Store
from alspec.system.atomic import describe_os_error


def doctor(work_dir: Path, *, as_json: bool = False) -> ExitCode:
    """Print what works on this machine; STEP_FAILED if something needed does not."""
    from alspec.run.doctor import examine

    healthy, found = True, []
    for finding in examine(work_dir):
        healthy &= finding.works or not finding.needed
        found.append(asdict(finding))
        if as_json:
            continue
        mark = "[green]✓[/]" if finding.works else "[red]✗[/]" if finding.needed else "[yellow]-[/]"
        console.say_finding(mark, finding.name, finding.detail)
    if as_json:
        console.say_json({"healthy": healthy, "findings": found})
    return ExitCode.DONE if healthy else ExitCode.STEP_FAILED


def work(key: str, store: Path, device: str) -> None:
    """Do one step in this process and commit it; nothing to do for a step that is done.

    Raises:
        InputError: no such step waits in the store.
        Locked: another living process holds the step.
    """
    from alspec.run.executors.worker import described_step
    from alspec.run.one_step import do_step

    refuse_links(store)
    console.say_notes(check_owners(store))
    target = Store(store)
    waits = re.fullmatch(r"[0-9a-f]{64}", key) and target.recipe_path(key).is_file()
    if not waits:
        raise InputError.at(key, f"no pending step with this key in {store}; `alspec run` plans it")
    step = described_step(target, key)
    try:
        words = "done" if do_step(step, target, device) else "done before"
    except OSError as err:
        raise StepFailed(describe_os_error(err)) from err
    console.out.print(f"{step.label}: {words}", markup=False)
