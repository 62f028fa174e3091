"""How fast steps were, read from finished ones and saved_throughput beside the store's steps."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from alspec.plan.cost.time import Pace
from alspec.plan.cost.workload import Workload
from alspec.plan.dag import Plan
from alspec.plan.step import StepKey
from alspec.store.store import Store
from alspec.system.atomic import write_json

ENOUGH = 20
"""Finished steps that a pace is the median of; reading more would only take time."""


def device_kind(device: str) -> str:
    """`cuda` of `cuda:1` and of `4 x cuda`."""
    return device.rpartition(" ")[2].partition(":")[0]


def measured(
    plan: Plan,
    loads: Mapping[StepKey, Workload],
    store: Store,
    keys: Iterable[StepKey],
    device: str,
) -> dict[str, Pace]:
    """The paces of finished steps that ran on a kind of device, by `Workload.timing_key`.

    Nothing is verified: a file that cannot be read is skipped.

    Args:
        plan: of the steps.
        loads: their workloads.
        store: where they are.
        keys: those to look at, finished or not.
        device: a kind of device.
    """
    found: dict[str, list[float]] = {}
    for key in keys:
        load = loads[key]
        paces = found.setdefault(load.timing_key, [])
        if load.images and len(paces) < ENOUGH:
            measured = _own_measure(store, key, plan.steps[key].kind.name)
            if measured and device_kind(str(measured.get("device"))) == device:
                paces.append(float(measured["seconds"]) / load.images)
    return {like: Pace(median(paces), len(paces)) for like, paces in found.items() if paces}


def record_throughput(
    paces: Mapping[str, Pace], store: Store, device: str, *, calibrated: bool = False
) -> None:
    """Save paces for later plans; a calibration does not replace what a study's steps measured."""
    today = datetime.date.today().isoformat() if calibrated else ""
    saved = saved_throughput(store, device) if calibrated else {}
    for like, pace in paces.items():
        if like in saved and not saved[like].calibrated:
            continue
        path = _folder(store) / f"{hashlib.sha256(f'{device} {like}'.encode()).hexdigest()}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        measure = {"seconds_per_image": pace.seconds_per_image, "steps": pace.steps}
        write_json(path, {"device": device, "like": like, "calibrated": today, **measure})


def saved_throughput(store: Store, device: str) -> dict[str, Pace]:
    """What `record_throughput` saved for a kind of device."""
    found = {}
    for path in sorted(_folder(store).glob("*.json")):
        measured = _read(path)
        if measured and measured.get("device") == device:
            try:
                pace = Pace(
                    float(measured["seconds_per_image"]),
                    int(measured["steps"]),
                    measured["calibrated"],
                )
                found[str(measured["like"])] = pace
            except (KeyError, TypeError, ValueError):
                continue
    return found


def _folder(store: Store) -> Path:
    return store.folders.throughput


def _own_measure(store: Store, key: StepKey, kind: str) -> Mapping[str, Any] | None:
    measured = _read(store.home(key) / f"{kind}.json")
    return measured if measured and isinstance(measured.get("seconds"), (int, float)) else None


def _read(path: Path) -> Mapping[str, Any] | None:
    try:
        measured = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return measured if isinstance(measured, dict) else None
