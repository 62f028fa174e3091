"""Everything that is worth knowing of a GPU, in the order of worth, within a number of minutes.

    python tests/gpu/acceptance.py --minutes 8 --json OUT.json [--parts 1,2] [--rehearse]
        [--workers N] [--study SPEC]...

Each part is a process of its own with a limit of time; a part that fails, hangs or finds no time
left leaves its reason in the JSON, which is replaced whole after every part. `--rehearse` does
everything at toy sizes on the CPU.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

from part_notes import write_atomically  # noqa: E402

GRACE_SECONDS = 12.0
"""Between a part's limit and its end: it may finish a figure and write it."""


@dataclass(frozen=True)
class Part:
    """A process of the acceptance.

    Attributes:
        number: what `--parts` calls it; several processes may share one.
        name: of its script, `part_<name>.py`, and of its figures.
        seconds: that it may take at most.
        least: seconds below which it is not worth starting.
    """

    number: int
    name: str
    seconds: float
    least: float


PARTS = (
    Part(1, "tests", 110, 30),
    Part(2, "speed", 110, 30),
    Part(2, "plain", 80, 30),
    Part(3, "selection", 50, 15),
    Part(4, "quickstart", 110, 30),
    Part(5, "study", 3600, 45),
)

MACHINE = """
import json, torch
found = {"torch": torch.__version__, "cuda": torch.version.cuda, "card": None}
if torch.cuda.is_available():
    of = torch.cuda.get_device_properties(0)
    found.update(card=of.name, card_gib=round(of.total_memory / 2**30, 1),
                 cudnn=torch.backends.cudnn.version(), capability=f"{of.major}.{of.minor}")
print(json.dumps(found))
"""


def machine() -> dict[str, Any]:
    """The card, the processor and the versions."""
    found: dict[str, Any] = {
        "python": platform.python_version(),
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "system": platform.release(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
    try:
        done = subprocess.run(
            [sys.executable, "-c", MACHINE], capture_output=True, text=True, timeout=120, check=True
        )
        found.update(json.loads(done.stdout.splitlines()[-1]))
    except (subprocess.SubprocessError, ValueError, IndexError) as err:
        stderr = getattr(err, "stderr", None) or ""
        found["error"] = [str(err), *str(stderr).splitlines()[-4:]]
    return found


def processor() -> str:
    """Its name, as Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def perform(part: Part, seconds: float, options: argparse.Namespace, scratch: Path) -> Any:
    """Run a part for so many seconds; its figures, and how it ended."""
    out = scratch / f"{part.name}.json"
    command = [sys.executable, "-u", str(HERE / f"part_{part.name}.py")]
    command += ["--out", str(out), "--scratch", str(scratch), "--seconds", f"{seconds:.0f}"]
    command += ["--workers", str(options.workers)] + ["--rehearse"] * options.rehearse
    for study in options.study:
        command += ["--study", str(study.resolve())]
    started = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        env=_environment(options),
    )
    log = options.json.with_name(f"{options.json.stem}-log.txt")
    with log.open("ab") as file:
        file.write(f"== {part.name}\n".encode())
        code = _ended(process, seconds + GRACE_SECONDS, file)
    figures = _read(out)
    figures["_ended"] = {"code": code, "seconds": round(time.monotonic() - started, 1)}
    if code:
        figures["_ended"]["last_lines"] = _last_lines(log)
    return figures


def _environment(options: argparse.Namespace) -> dict[str, str]:
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    told = {"PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}
    out = {"ALSPEC_ACCEPTANCE_OUT": str(options.json.parent.resolve())}
    rehearsal = {"ALSPEC_GPU_REHEARSAL": "1"} if options.rehearse else {}
    return {**os.environ, **told, **out, **rehearsal}


def _ended(process: subprocess.Popen[bytes], seconds: float, log: Any) -> int | str:
    """Pass on what a process says until it ends, or is killed with its group at the limit."""
    import threading

    def passed_on() -> None:
        for line in process.stdout or ():
            log.write(line)
            log.flush()
            sys.stdout.write(line.decode("utf-8", "replace"))
            sys.stdout.flush()

    reader = threading.Thread(target=passed_on, daemon=True)
    reader.start()
    try:
        code: int | str = process.wait(seconds)
    except subprocess.TimeoutExpired:
        code = f"killed after {seconds:.0f} s"
    for kind in (signal.SIGTERM, signal.SIGKILL):  # what it started may have outlived it
        try:
            os.killpg(process.pid, kind)
        except OSError:
            break
        time.sleep(0.3)
    process.wait()
    reader.join(timeout=5)
    return code


def _read(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def _last_lines(log: Path) -> list[str]:
    return log.read_text("utf-8", errors="replace").splitlines()[-12:]


def compared(found: dict[str, Any]) -> dict[str, Any]:
    """The product beside the plain way of each row both have, and both beside the peak."""
    speed, plain = found.get("speed", {}), found.get("plain", {})
    peak = speed.get("peak", {}).get("tflops")
    rows = {}
    for name, ours in speed.items():
        rate = ours.get("images_per_second") if isinstance(ours, dict) else None
        if not rate:
            continue
        theirs = plain.get(ours.get("beside", name), {}).get("images_per_second")
        work = ours.get("gflops_per_image")
        rows[name] = {
            "images_per_second": rate,
            "plain_images_per_second": theirs,
            "ratio": rate / theirs if theirs else None,
            "share_of_peak": rate * work / 1e3 / peak if work and peak else None,
            "peak_memory_gib": ours.get("peak_memory_gib"),
            "plain_peak_memory_gib": plain.get(ours.get("beside", name), {}).get("peak_memory_gib"),
        }
    return rows


def main() -> int:
    """Do the parts that were asked for; 0 when none failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=8.0, help="for everything together")
    parser.add_argument("--json", type=Path, required=True, help="where the figures go")
    parser.add_argument("--parts", default="1,2,3,4,5", help="numbers, in order of worth")
    parser.add_argument("--rehearse", action="store_true", help="toy sizes on the CPU")
    parser.add_argument("--workers", type=int, default=1, help="worker processes on the card")
    parser.add_argument("--study", type=Path, action="append", default=[], help="spec for part 5")
    options = parser.parse_args()
    until = time.monotonic() + 60 * options.minutes
    wanted = {int(number) for number in options.parts.split(",")}
    options.json.parent.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {"machine": machine(), "options": vars(options), "parts": {}}
    write_atomically(options.json, results)
    print(json.dumps(results["machine"]), flush=True)
    with tempfile.TemporaryDirectory(
        prefix="alspec-acceptance-", ignore_cleanup_errors=True
    ) as folder:
        for part in (part for part in PARTS if part.number in wanted):
            left = until - time.monotonic() - GRACE_SECONDS
            if left < part.least:
                why = f"{max(0.0, left):.0f} s are left, {part.least:.0f} s are the least"
                results["parts"][part.name] = {"skipped": why}
                print(f"== {part.name}: skipped, {why}", flush=True)
            else:
                print(f"== {part.name}, {left:.0f} s left", flush=True)
                seconds = min(part.seconds, left)
                results["parts"][part.name] = perform(part, seconds, options, Path(folder))
            results["compared"] = compared(results["parts"])
            write_atomically(options.json, results)
    for name, row in results["compared"].items():
        print(name, json.dumps(row), flush=True)
    ends = [part.get("_ended", {}).get("code", 0) for part in results["parts"].values()]
    return int(any(ends))


if __name__ == "__main__":
    raise SystemExit(main())
