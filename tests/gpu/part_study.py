"""Part 5: studies on real data with the time that is left, resumable from what they leave.

What comes back is each study's folder and the store without weights and images, as pieces of one
`study.tar.gz` beside the JSON: `cat study.tar.gz.* | tar xz` and run the same spec again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

from part_notes import Notes, run_part, run_until

HERE = Path(__file__).resolve().parent
CAMVID = HERE / "camvid.yaml"
PIECE_BYTES = 15 << 20
PIECES = 5
END_SECONDS = 25.0
"""For workers to write checkpoints, the tables to be written, and everything to be packed."""
LEFT_OUT = ("*.safetensors", "images/*", "checkpoints/*", "drafts/*")
"""Below a store: what is large or of no use elsewhere."""
PLAIN = ["model=deeplabv3plus_small", "pretrained="]
"""Where the product has no MobileNetV2 yet."""

TOY: dict[str, Any] = {
    "study": "rehearsed",
    "datasets": [
        {"name": "toy", "kind": "toy", "image_size": [32, 64], "sequences": 2, "frames": 6,
         "val_sequences": 1, "val_frames": 2}
    ],
    "budgets": [{"name": "b", "unit": "images", "initial": 2, "step": 2, "cycles": 2}],
    "methods": ["random"], "ssl": [False], "baselines": [], "seeds": [0],
    "model": "deeplabv3plus_tiny", "training": {"epochs": 2, "batch_size": 2, "lr": 0.05},
}  # fmt: skip


def part(notes: Notes, options: argparse.Namespace) -> None:
    """The studies one after another, in one store, an equal share of the time each."""
    specs = options.study or [CAMVID]
    if options.rehearse and not options.study:
        specs = [options.scratch / "rehearsed.yaml"]
        specs[0].write_text(json.dumps(TOY), "utf-8")
    work_dir = options.scratch / "studies"
    devices = devices_of(options.workers, options.rehearse)
    end = 4.0 if options.rehearse else END_SECONDS
    for number, spec in enumerate(specs):
        seconds = (notes.left - end) / (len(specs) - number)
        with notes.attempt(spec.stem):
            study(notes, spec, work_dir, devices, seconds)
    with notes.attempt("packed"):
        notes.say("packed", **packed(work_dir, Path(os.environ["ALSPEC_ACCEPTANCE_OUT"])))


def devices_of(workers: int, rehearse: bool) -> str:
    """What `--devices` is told for so many workers on the first card."""
    if rehearse:
        return "cpu:1"
    from product import parse_devices

    from alspec.errors import AlspecError

    for text in (f"cuda:0*{workers}", ",".join(["cuda:0"] * workers)):
        try:
            if workers > 1 and len(parse_devices(text)) == workers:
                return text
        except AlspecError:
            continue
    return "cuda:0"


def study(notes: Notes, spec: Path, work_dir: Path, devices: str, seconds: float) -> None:
    """Run a study until it is done or its time is up."""
    changes: list[str] = []
    if refused := _alspec("plan", spec, work_dir, changes, "--devices", "cpu:1"):
        changes = PLAIN
        notes.say(spec.stem, instead=changes, because=refused)
        if refused := _alspec("plan", spec, work_dir, changes, "--devices", "cpu:1"):
            raise RuntimeError(f"cannot be planned: {refused}")
    command = _command("run", spec, work_dir, changes, "--devices", devices)
    started = time.monotonic()
    code = run_until(command, seconds)
    notes.say(
        spec.stem, code=code, devices=devices, wall_seconds=round(time.monotonic() - started, 1)
    )
    refused = _alspec("report", spec, work_dir, changes)
    for results in work_dir.glob("*/results.csv"):
        rows = len(results.read_text("utf-8").splitlines()) - 1
        notes.say(spec.stem, **{f"rows_{results.parent.name}": rows}, report=refused or "written")


def _command(verb: str, spec: Path, work_dir: Path, changes: list[str], *more: str) -> list[str]:
    command = [sys.executable, "-m", "alspec", verb, str(spec), "--work-dir", str(work_dir), *more]
    for change in changes:
        command += ["--set", change]
    return command


def _alspec(verb: str, spec: Path, work_dir: Path, changes: list[str], *more: str) -> list[str]:
    """Run a short command; its last lines if it failed."""
    command = _command(verb, spec, work_dir, changes, *more)
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return (done.stdout + done.stderr).strip().splitlines()[-4:] if done.returncode else []


def packed(work_dir: Path, out: Path) -> dict[str, Any]:
    """Pieces of a tar.gz of everything small below the work folder."""
    archive = work_dir.parent / "study.tar.gz"
    with tarfile.open(archive, "w:gz", compresslevel=6) as tar:
        for path in sorted(work_dir.rglob("*")):
            if path.is_file() and not _is_left_out(path.relative_to(work_dir)):
                tar.add(path, arcname=str(path.relative_to(work_dir.parent)))
    data = archive.read_bytes()
    pieces = [data[at : at + PIECE_BYTES] for at in range(0, len(data), PIECE_BYTES)]
    for number, piece in enumerate(pieces[:PIECES]):
        (out / f"study.tar.gz.{number}").write_bytes(piece)
    return {"bytes": len(data), "pieces": len(pieces), "left_out": max(0, len(pieces) - PIECES)}


def _is_left_out(path: Path) -> bool:
    below_store = path.parts[:1] == (".store",)
    inside = Path(*path.parts[1:])
    return below_store and any(
        inside.match(pattern) or pattern.split("/")[0] in inside.parts for pattern in LEFT_OUT
    )


if __name__ == "__main__":
    run_part(part)
