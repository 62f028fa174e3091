"""What two executions of one study must agree on, to the byte."""

from __future__ import annotations

import csv
from pathlib import Path

from alspec.store.manifest import MANIFEST
from alspec.store.study_folder import StudyFolder

MEASURED = ("train_seconds", "acquire_seconds", "device")
"""Columns of results.csv that say how fast a device was."""

EXACT = (".safetensors", ".npy", ".csv", ".txt")
"""Artifacts of which every byte follows from a step's key; JSON ones say who made them and when."""


def results_of(folder: StudyFolder) -> dict[str, object]:
    """Tables without what a clock says, selections, and the SHA-256 of every exact artifact."""
    with folder.table("results").open(newline="") as file:
        rows = [
            {name: value for name, value in row.items() if name not in MEASURED}
            for row in csv.DictReader(file)
        ]
    tables = [folder.table("classes"), folder.table("runs")]
    paths = [*tables, *sorted(folder.selections.glob("*/*"))]
    artifacts = {
        f"{key}/{name}": artifact.sha256
        for key in sorted(committed(folder))
        for name, artifact in folder.store.artifacts(key).items()
        if name.endswith(EXACT)
    }
    files = {path.relative_to(folder.root).as_posix(): path.read_bytes() for path in paths}
    return {"results.csv": rows, **files, **artifacts}


def committed(folder: StudyFolder) -> set[str]:
    """The keys of the steps that are done, of whatever study of the store."""
    return {path.parent.name for path in Path(folder.store.root).glob(f"*/{MANIFEST}")}
