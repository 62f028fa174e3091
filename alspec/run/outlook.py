"""What a plan will cost where it is to run: time and disk of what is not done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alspec.plan.config_file import require_trust
from alspec.plan.dag import Plan
from alspec.plan.step import StepKey
from alspec.run import timing
from alspec.run.devices import parse_devices
from alspec.run.loop import needed
from alspec.run.observer import Progress, observer_of
from alspec.run.preflight.disk import disk_space_for
from alspec.run.scaling import Scaling, require_counts, scaling
from alspec.store.study_folder import WORK_DIR, StudyFolder, writable


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a plan will cost where it is to run.

    Attributes:
        done: the steps that the store has.
        seconds: wall time of the others; None where nothing like them was measured.
        time: the same in words, with its origin.
        disk: what the others need of the disk, in words; empty if nothing is left.
        scaling: the time on the numbers of devices that were asked about; None where none were,
            or nothing like the steps was measured.
    """

    done: frozenset[StepKey]
    seconds: float | None
    time: str
    disk: str
    scaling: Scaling | None = None


def outlook(
    expanded: Plan,
    *,
    work_dir: str | Path = WORK_DIR,
    devices: str | None = None,
    gpus: Sequence[int] = (),
    calibrate: bool = False,
    trust_config: bool = False,
    progress: Progress = None,
) -> Outlook:
    """Time and disk of what of a plan is not done.

    Args:
        expanded: as `plan` gives it.
        work_dir: where it is to run.
        devices: on what, as `--devices`; as the spec says if None.
        gpus: numbers of devices to tell the time for.
        calibrate: time a sample on the device first, for seconds.
        trust_config: the sample may run the study's own config.
        progress: hears of the calibration.
    """
    asked = expanded.study.execution
    here = asked.executor == "local" or devices is not None
    slots = parse_devices(devices or asked.slots, here=here) * (1 if here else asked.jobs or 1)
    require_counts(gpus, asked.devices_a_training)
    folder = StudyFolder(Path(work_dir), expanded.study.study)
    store = folder.store
    if calibrate:
        require_trust(expanded.study, trusted=trust_config)
        observer_of(progress).note(f"a sample of {folder.study} is timed on {slots[0]}")
        with writable(folder):
            timing.calibrate(expanded, store, slots, trust_config=trust_config)
    there = store.done(expanded.steps)
    done = frozenset(key for key in expanded.steps if key in there)
    left = needed(expanded, store)
    found = timing.estimate(expanded, store, left, slots)
    times = scaling(expanded, store, left, slots[0], gpus) if gpus else None
    todo = expanded.steps.keys() - done
    space = disk_space_for(expanded, todo, store, len(slots)) if todo else ""
    disk = f"On {len(slots)} workers what is left {space}." if todo else ""
    return Outlook(done, found.seconds, found.words, disk, times)
