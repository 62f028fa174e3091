"""The report of a study of 500 runs, figures and all: at most 10 s and 500 MB."""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from figure import HERE, Figure

sys.path.insert(0, str(HERE.parent))

from factories.study import CAMVID, FAMILIES, MadeStudy

from alspec.report.publish import publish
from alspec.spec.model import Method

SECONDS, MEGABYTES = 10.0, 500.0


def figures() -> Iterator[Figure]:
    """Publication with a store that was just written, so that reading it is from memory."""
    more = [Method(name="entropy", label=f"entropy{k}") for k in range(5)]
    FAMILIES.update({method.label: "single" for method in more})
    datasets = tuple(CAMVID.model_copy(update={"name": f"data{k}"}) for k in range(5))
    made = MadeStudy(
        methods=("random", "uniform", "entropy", "equal", "coreset", *more),
        seeds=(0, 1, 2, 3, 4), datasets=datasets, full=False, listed=True,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        study = made.in_folder(Path(folder))
        start, cpu = time.perf_counter(), time.process_time()
        publish(made.plan, study)
        took, busy = time.perf_counter() - start, time.process_time() - cpu
        page = study.report_html.stat().st_size / 1e6
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    runs = f"{len(made.plan.runs)} runs, page of {page:.1f} MB"
    said = f"{took:.1f} s of {SECONDS:.0f} s ({busy:.1f} s of it computing), {runs}"
    yield Figure("report_seconds", SECONDS / took, 1, said)
    yield Figure("report_memory", MEGABYTES / memory, 1, f"{memory:.0f} MB of {MEGABYTES:.0f} MB")
