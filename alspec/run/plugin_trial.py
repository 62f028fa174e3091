"""Tries a plugin in a process of its own, which may hang, eat memory, print or die.

`python -m alspec.run.plugin_trial GROUP NAME REPORT` is that process. It writes what it finds to
the file REPORT, a JSON object a line: `problem`, `phase` as it proceeds, and `end` at its end.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from alspec import plugins
from alspec.errors import PluginError
from alspec.system.interpreter import python_command, python_environment
from alspec.system.scratch import scratch_folder

SECONDS = 120.0
MEMORY_GIB = 4.0
"""What a plugin may take beside torch, for a dozen candidates of a few numbers each."""

_CALM = (sys.prefix, sys.base_prefix, "/proc", "/sys", "/dev", "/usr", "/lib", "/etc")


def try_plugin(
    group: str, name: str, seconds: float = SECONDS, memory_gib: float = MEMORY_GIB
) -> list[str]:
    """What is wrong with a plugin; empty when it keeps the contract.

    Args:
        group: the entry point group.
        name: the plugin.
        seconds: for its import and all trials together.
        memory_gib: that the process may take beyond what it has before the plugin is loaded.
    """
    with scratch_folder() as folder:
        report, printed, errors = (folder / name for name in ("report", "out", "err"))
        arguments = [group, name, str(report), str(memory_gib)]
        with printed.open("wb") as out, errors.open("wb") as err:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                python_command("alspec.run.plugin_trial", arguments),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=python_environment(),
                cwd=folder,
                start_new_session=True,
            )
            end = _end_of(process, seconds, errors)
        lines = [json.loads(line) for line in _lines(report)]
        problems = [line["problem"] for line in lines if "problem" in line]
        phase = next((line["phase"] for line in reversed(lines) if "phase" in line), "start")
        if end or not any("end" in line for line in lines):
            problems.append(f"{phase}: {end or 'the process was ended'}")
        if text := printed.read_bytes().decode("utf-8", "replace").strip():
            problems.append(f"it prints on standard output ({text[:60]!r}); use logging")
        return problems


def _end_of(process: subprocess.Popen[bytes], seconds: float, errors: Path) -> str:
    """How the process ended where that was not as it should; whatever it left is ended too."""
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        _signal(process, signal.SIGKILL)
        process.wait()
        return f"not finished within {seconds:g} s"
    if _signal(process, signal.SIGKILL):
        return "it leaves a process behind that keeps running"
    if code < 0:
        return f"the process was ended by {signal.Signals(-code).name}"
    last = errors.read_text("utf-8", "replace").strip().splitlines()[-1:]
    return f"the process exited with {code} {' '.join(last)}".strip() if code else ""


def _signal(process: subprocess.Popen[bytes], number: int) -> bool:
    """Whether a process of the group is still there to be signalled."""
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _lines(report: Path) -> list[str]:
    """The whole lines of a report; the last may be torn."""
    text = report.read_text("utf-8") if report.exists() else ""
    return [line for line in text.splitlines(keepends=True) if line.endswith("\n")]


def main() -> None:
    """Try the plugin that the arguments name."""
    group, name, path, gib = sys.argv[1:]
    with Path(path).open("a", encoding="utf-8", buffering=1) as report:
        _say(report, phase="import")
        import torch

        torch.set_num_threads(1)
        _limit_memory(float(gib))
        loaded = _problems_of(group, name, report)
        for problem in loaded:
            _say(report, problem=_with_limit(problem, gib))
        _say(report, end=True)


def _problems_of(group: str, name: str, report: IO[str]) -> list[str]:
    if group == "alspec.datasets":
        from alspec.datasets.conformance import check_dataset_kind

        return check_dataset_kind(name)
    from alspec.acquisition.conformance import check_acquisition

    with suppress(PluginError):
        plugins.load(group, name)
    _say(report, phase="trial")
    with _opened_files() as opened:
        problems = check_acquisition(name)
    return problems + [
        f"it opens {path} when it is asked; a method sees outputs and candidates alone"
        for path in sorted(opened)[:3]
    ]


def _say(report: IO[str], **line: object) -> None:
    report.write(json.dumps(line) + "\n")


def _limit_memory(gib: float) -> None:
    """Have larger allocations fail, where the system can limit a process."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    except (ImportError, OSError):
        return
    limit = pages * os.sysconf("SC_PAGE_SIZE") + int(gib * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))


def _with_limit(problem: str, gib: str) -> str:
    short = any(word in problem for word in ("MemoryError", "allocate memory", "enough memory"))
    return f"{problem} (it may take {float(gib):g} GB for a dozen images)" if short else problem


@contextmanager
def _opened_files() -> Iterator[set[str]]:
    """Collects the files that are opened in the block, but for what Python itself reads."""
    opened: set[str] = set()
    watching = True

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if watching and event == "open" and isinstance(arguments[0], (str, bytes)):
            path = os.path.abspath(os.fsdecode(arguments[0]))  # noqa: PTH100 - any text
            code = path.endswith((".py", ".so")) or "__pycache__" in path
            if not code and not path.startswith(_CALM):
                opened.add(path)

    sys.addaudithook(watch)
    try:
        yield opened
    finally:
        watching = False


if __name__ == "__main__":
    main()
