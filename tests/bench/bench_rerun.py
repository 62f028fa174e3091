"""`alspec run` of a finished study of 1,000 steps: at most 1.5 s, every step verified."""

from __future__ import annotations

import resource
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from command import run_command, seconds_of
from figure import HERE, Figure

sys.path.insert(0, str(HERE.parent))

from fakes.trainer import perform

from alspec.plan.expand import expand
from alspec.spec.load import load_study
from alspec.store.study_folder import StudyFolder

LIMIT = 1.5
REPEATS = 5

SPEC = f"""
study: finished
datasets:
  - {{name: toy, kind: toy, image_size: [32, 64], sequences: 4, frames: 25, val_sequences: 1,
     val_frames: 5}}
budgets: [10-10]
methods: [random, entropy, coreset]
ssl: [false]
seeds: {list(range(25))}
model: deeplabv3plus_tiny
"""


def figures() -> Iterator[Figure]:
    """The whole command's wall time, process start, verification and publication included."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "study.yaml").write_text(SPEC, "utf-8")
        plan = expand(load_study(home / "study.yaml"))
        store = StudyFolder(home / "work_dirs", plan.study.study).store
        with mock.patch("os.fsync"):  # filling the store is not what is timed
            for step in plan.in_order():
                with store.draft(step.key, step.to_json()) as draft:
                    perform(step, store, draft)
        first, said = run_command("run", "study.yaml", home=home)
        assert f"{len(plan.steps)} were done before" in said
        before = _computing()
        took = seconds_of("run", "study.yaml", home=home, repeats=REPEATS)
        busy = (_computing() - before) / REPEATS
    measured = f"{took:.2f} s of {LIMIT} s ({busy:.2f} s of it computing), {len(plan.steps)} steps"
    yield Figure("rerun", LIMIT / took, 1, f"{measured} ({first:.1f} s with the report to write)")


def _computing() -> float:
    """Seconds of processors that finished children have taken."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
