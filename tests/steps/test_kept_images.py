"""Steps whose images are kept on disk: the same artifacts, and nothing is read twice."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import pytest
from factories.performed_steps import CPU, Performed, study

from alspec.datasets.kinds.toy import Toy
from alspec.plan.expand import expand
from alspec.steps.work import WorkerContext

METHODS = ["entropy", "coreset"]
COMPARED = ("weights.safetensors", "confusion.npy", "scores.csv", "selected.txt", "epochs.csv")


def artifacts(performed: Performed) -> dict[tuple[str, str], bytes]:
    return {
        (key, name): performed.store.file(key, name).read_bytes()
        for key in performed.plan.steps
        for name in COMPARED
        if performed.store.holds(key, name)
    }


@pytest.mark.usefixtures("small_discriminator")
@pytest.mark.parametrize("ssl", [False, True])
def test_the_same_artifacts_from_images_read_once(tmp_path: Path, ssl: bool) -> None:
    plan = expand(study(methods=METHODS, ssl=[ssl], baselines=[]))
    plain, kept = (Performed(tmp_path / name, plan) for name in ("plain", "kept"))
    plain.perform_all()
    reads: list[tuple[str, str]] = []
    real = {what: getattr(Toy, f"read_{what}") for what in ("image", "mask")}

    def reading(what: str):
        def read(dataset, image):
            reads.append((what, image))
            return real[what](dataset, image)

        return mock.patch.object(Toy, f"read_{what}", read)

    with reading("image"), reading("mask"):
        for step in plan.in_order():
            if step.label.endswith("pool"):
                kept.perform(step)  # looks at a sample of the files themselves
                reads.clear()
                continue
            kept.worker_context = WorkerContext(CPU, images=kept.store.images)
            kept.perform(step)
    assert len(reads) == len(set(reads)) > 20
    assert artifacts(plain) == artifacts(kept) != {}
