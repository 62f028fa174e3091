"""Compares what a run needs of the disk with what is free there, before the first step."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from alspec.errors import InputError
from alspec.plan.cost.disk import DiskNeed, cache_bytes, disk_need
from alspec.plan.dag import Plan
from alspec.plan.kinds import TRAIN
from alspec.plan.kinds.train import WEIGHTS
from alspec.plan.step import StepKey
from alspec.store.store import Store
from alspec.system.atomic import files_left

TOLERANCE = 0.2
"""How far an estimate may be off: a disk is refused that has less than the least need by more than
this, and warned where it has not this much more than the whole need."""

FILES_A_STEP = 4
"""The least of any kind: a folder, a manifest, an artifact, a recipe."""


@dataclass(frozen=True, slots=True)
class DiskSpaceCheck:
    """What a run needs and what there is.

    Attributes:
        place: a folder on the disk.
        need: of the steps to run, less the checkpoints and decoded images that are there already.
        free: bytes that this user may still write.
        files: that the steps will write, at least.
        files_left: that the disk still takes; None where it does not say.
    """

    place: Path
    need: DiskNeed
    free: int
    files: int = 0
    files_left: int | None = None

    def __str__(self) -> str:
        known = "" if self.need.known else " and the weights, whose size is not known"
        spare = in_words(self.need.peak - self.need.least)
        needs = f"needs {in_words(self.need.least)} at its fullest{known}"
        also = f"and {spare} more for checkpoints and decoded images"
        return f"{needs}, {also}; {in_words(self.free)} are free in {self.place}"


def disk_space_for(
    plan: Plan, todo: Collection[StepKey], store: Store, slots: int
) -> DiskSpaceCheck:
    """What running some steps needs of the store's disk, and what is free on it.

    Args:
        plan: the study, expanded.
        todo: the steps to run.
        store: where; need not be there.
        slots: steps at work at once, at least 1.
    """
    trainings = (step.key for step in plan.in_order() if step.kind is TRAIN)
    present = {key for key in trainings if (store.home(key) / WEIGHTS).is_file()}
    need = disk_need(plan, todo, present, slots)
    there = sum(_bytes_in(folder) for folder in store.checkpointed() if folder.name in todo)
    there += min(_bytes_in(store.images), cache_bytes(plan))
    need = replace(need, peak=max(need.least, need.peak - there))
    place = next(path for path in (store.root, *store.root.absolute().parents) if path.is_dir())
    files = FILES_A_STEP * len(todo)
    return DiskSpaceCheck(place, need, shutil.disk_usage(place).free, files, files_left(place))


def require_disk_space(room: DiskSpaceCheck) -> str:
    """A warning if the disk may become full, else nothing.

    Raises:
        InputError: it is clearly too small, even without checkpoints and decoded images, or takes
            too few files.
    """
    if room.files_left is not None and room.files_left < room.files:
        raise InputError.at(
            room.place,
            f"its disk takes only {room.files_left:,} more files (inodes), and this run writes "
            f"at least {room.files:,}. Remove files from it, or choose another --work-dir",
        )
    if room.free < (1 - TOLERANCE) * room.need.least:
        raise InputError.at(
            room.place,
            f"the disk is too small to start: this run {room}. Free space, choose another "
            "--work-dir, or keep fewer weights (`keep: none` in the spec)",
        )
    if room.free < (1 + TOLERANCE) * room.need.peak:
        return (
            f"The disk may become full: this run {room}. Finished steps stay; a training "
            "without checkpoints starts anew after an interruption"
        )
    return ""


def in_words(size: int) -> str:
    """Bytes as people read them: `3 MB`, `1.4 GB`."""
    for factor, unit in ((10**12, "TB"), (10**9, "GB"), (10**6, "MB")):
        if abs(size) >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{size / 1000:.3g} kB"


def _bytes_in(folder: Path) -> int:
    """What the files below a folder take of the disk."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())
