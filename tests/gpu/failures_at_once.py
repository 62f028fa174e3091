"""A pytest plugin: a failure is printed when it happens; a run that is ended has told it too."""

from __future__ import annotations

import sys
from typing import Any

LINES = 25


def pytest_runtest_logreport(report: Any) -> None:
    """Print the last lines of what failed."""
    if report.failed:
        last = str(report.longrepr).splitlines()[-LINES:]
        print(*(f"! {line}" for line in ["", report.nodeid, *last]), sep="\n", file=sys.__stdout__)
