"""Runs the benchmarks: `python tests/bench/run.py [NAME…] [--json] [--write]`.

A benchmark is a module `bench_NAME.py` beside this file with a function `figures`, which yields
`Figure`s one after another; `--write` puts their rows into RESULTS.md, beside those of the
benchmarks that were not run, with the machine named.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import json
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from figure import Figure  # noqa: E402


def names() -> list[str]:
    """Every benchmark there is."""
    return sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))


def measured(chosen: Sequence[str]) -> Iterator[Figure]:
    """The figures of the chosen benchmarks, told on standard error as they come."""
    for name in chosen:
        for figure in importlib.import_module(f"bench_{name}").figures():
            print(_row(figure), file=sys.stderr, flush=True)
            yield figure


def _row(figure: Figure) -> str:
    holds = "yes" if figure.holds else "**no**"
    cells = [figure.name, f"{figure.ratio:.2f}", f"{figure.goal:g}", holds]
    return f"| {' | '.join([*cells, figure.measured, _processor()])} |"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    flags = next((line for line in lines if line.startswith("flags")), "")
    widest = next((name for name in ("avx512f", "avx2") if f" {name} " in f"{flags} "), "")
    model = models[0] if models else platform.processor()
    return f"{model} ({widest.removesuffix('f').upper()})" if widest else model


def machine() -> str:
    """Processor, cores, Python, torch and device, in a line."""
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return (
        f"{_processor()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"torch {torch.__version__}, {device}"
    )


def _benchmark(row: str) -> str:
    """The benchmark that a row of the table is of."""
    figure = row.split()[1]
    return max((n for n in names() if f"{figure}-".startswith(f"{n}-")), key=len, default="")


def page(figures: Sequence[Figure], before: str, chosen: Sequence[str]) -> str:
    """RESULTS.md with new rows; `before` is the page as it was."""
    kept = [line for line in before.splitlines() if line.startswith("| ") and _benchmark(line)]
    rows = [row for row in kept if _benchmark(row) not in chosen] + [_row(f) for f in figures]
    table = "\n".join(sorted(rows, key=_benchmark))
    return f"""# Benchmarks

`python tests/bench/run.py --write` on {machine()}; {datetime.date.today().isoformat()}.
A ratio says how many times better than the reference, which is measured in the same run; a limit
stands as what is allowed over what was measured. Larger is better everywhere.

| figure | ratio | goal | holds | measured | processor |
|---|---:|---:|---|---|---|
{table}
"""


def main() -> None:
    """Run and print; a missed goal is told, not an error."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names()))
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--write", action="store_true", help="write RESULTS.md")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(names()))
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(names())}")
    chosen = options.names or names()
    figures = list(measured(chosen))
    if options.json:
        rows = [
            {
                "name": f.name,
                "ratio": f.ratio,
                "goal": f.goal,
                "holds": f.holds,
                "processor": _processor(),
            }
            for f in figures
        ]
        print(json.dumps(rows, indent=2))
    if options.write:
        results = HERE / "RESULTS.md"
        before = results.read_text("utf-8") if results.exists() else ""
        results.write_text(page(figures, before, chosen), "utf-8")


if __name__ == "__main__":
    main()
