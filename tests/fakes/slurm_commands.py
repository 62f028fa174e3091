"""`sbatch`, `squeue`, `scontrol`, `scancel` over a folder: what they were asked, jobs as processes.

`put_on_path` makes commands of it. In the folder, `refuse` has what sbatch says in place of doing
it, `down` what squeue says; where `start` is, the elements of arrays are started as processes.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

COMMANDS = ("sbatch", "squeue", "scontrol", "scancel")


def put_on_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cluster whose state is in a folder; its commands are the only ones on PATH beside sh's."""
    (folder / "bin").mkdir(parents=True)
    (folder / "jobs").mkdir()
    for name in COMMANDS:
        command = folder / "bin" / name
        call = shlex.join([sys.executable, "-S", str(Path(__file__).absolute()), name])
        command.write_text(f'#!/bin/sh\nexec {call} "$@"\n')
        command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("FAKE_SLURM", str(folder))
    return folder


def end_all(folder: Path) -> None:
    """Kill every job that was started."""
    for job in (folder / "jobs").glob("*"):
        with suppress(OSError, ValueError):
            os.killpg(int(job.read_text()), signal.SIGKILL)


def main() -> None:
    command, *arguments = sys.argv[1:]
    state = Path(os.environ["FAKE_SLURM"])
    with (state / "asked").open("a") as file:
        file.write(f"{command} {' '.join(arguments)}\n")
    sys.exit(globals()[command](state, arguments))


def sbatch(state: Path, arguments: Sequence[str]) -> int:
    text = Path(arguments[-1]).read_text()
    if (state / "refuse").exists():
        return _error("sbatch", (state / "refuse").read_text())
    array = 100 + len(list(state.glob("script.*")))
    (state / f"script.{array}").write_text(text)
    options = dict(re.findall(r"^#SBATCH --([a-z-]+)=\"?([^\"\n]*)", text, re.M))
    for element in range(1, int(options["array"].partition("-")[2]) + 1):
        job = state / "jobs" / f"{array}_{element}"
        job.write_text("")
        if (state / "start").exists():
            asked = [str(array), str(element), options["output"], options["chdir"]]
            process = subprocess.Popen(
                [sys.executable, __file__, "element", *asked],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip
            job.write_text(str(process.pid))
    print(array)
    return 0


def element(state: Path, arguments: Sequence[str]) -> int:
    array, number, output, folder = arguments
    script = state / f"script.{array}"
    environment = {**os.environ, "SLURM_ARRAY_JOB_ID": array, "SLURM_ARRAY_TASK_ID": number}
    again = state / f"again.{array}_{number}"
    while True:
        with Path(output.replace("%A", array).replace("%a", number)).open("a") as file:
            shell = subprocess.Popen(
                ["bash", str(script)], env=environment, cwd=folder, stdout=file, stderr=file
            )
            (state / f"shell.{array}_{number}").write_text(str(shell.pid))
            shell.wait()
        if not again.exists():
            (state / "jobs" / f"{array}_{number}").unlink(missing_ok=True)
            return 0
        again.unlink()


def squeue(state: Path, arguments: Sequence[str]) -> int:
    if (state / "down").exists():
        return _error("squeue", (state / "down").read_text())
    for job in sorted((state / "jobs").glob("*")):
        print("RUNNING|None" if job.read_text() else "PENDING|Resources")
    return 0


def scontrol(state: Path, arguments: Sequence[str]) -> int:
    if arguments[0] == "show":
        print("MaxArraySize            = 4")
    else:
        (state / f"again.{arguments[1]}").write_text("")
    return 0


def scancel(state: Path, arguments: Sequence[str]) -> int:
    for job in (state / "jobs").glob(f"{arguments[0]}_*"):
        job.unlink()
    return 0


def _error(command: str, said: str) -> int:
    print(f"{command}: error: {said}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    main()
