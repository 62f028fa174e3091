"""A report written where the user wants it; its figures stay in the study's folder."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

from alspec.errors import InputError
from alspec.system.atomic import write_out


def copy_report(content: str, output: Path) -> None:
    """Write a report to a file.

    Raises:
        InputError: it cannot be written.
    """
    try:
        write_out(output, content)
    except OSError as err:
        raise InputError.at(output, f"cannot be written ({err.strerror})") from err


def linked_from(output: Path, content: str, figures: Path) -> str:
    """A report in markdown whose figures are linked from another place, where they stay."""
    folder = quote(Path(os.path.relpath(figures, output.parent)).as_posix())
    return content.replace("](figures/", f"]({folder}/")
