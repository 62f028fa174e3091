"""Keeps the paths of a machine out of a spec that is published: variables stand for them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from alspec.spec.fields import Template
from alspec.system.reading import read_text_file

PATHS_FILE = "paths.json"
"""Beside such a spec: what its variables are on the machine that wrote it."""


def without_paths(data: Mapping[str, object]) -> tuple[dict[str, object], dict[str, str]]:
    """Plain data of a spec with a variable for each absolute path, and the variables' values.

    A path is text that names what is there; `datasets: [{root: /d}]` becomes `${DATASETS_0_ROOT}`.
    """
    paths: dict[str, str] = {}
    return {key: _taken(value, (key,), paths) for key, value in data.items()}, paths


def _taken(value: object, loc: tuple[object, ...], paths: dict[str, str]) -> object:
    """A value with variables for its paths, which are added to `paths`."""
    if isinstance(value, str) and Path(value).is_absolute() and _is_there(value):
        name = re.sub(r"\W", "_", "_".join(map(str, loc))).upper()
        paths[name] = value
        return f"${{{name}}}"
    if isinstance(value, dict):
        return {key: _taken(part, (*loc, key), paths) for key, part in value.items()}
    if isinstance(value, list):
        return [_taken(item, (*loc, index), paths) for index, item in enumerate(value)]
    return value


def with_paths(data: object, spec: Path) -> object:
    """A spec's data with the paths that `PATHS_FILE` beside it has for its variables.

    Variables whose path is not there any more stay, for the environment to say.
    """
    known = _known(spec.parent / PATHS_FILE)
    return _filled(data, known) if known else data


def _filled(data: object, known: Mapping[str, str]) -> object:
    if isinstance(data, Template):
        path = known.get(data.text.removeprefix("${").removesuffix("}"))
        return path if path and _is_there(path) else data
    if isinstance(data, dict):
        return {key: _filled(value, known) for key, value in data.items()}
    if isinstance(data, list):
        return [_filled(value, known) for value in data]
    return data


def _known(file: Path) -> dict[str, str]:
    """The variables that a file gives; none where there is no such file, or it says others."""
    if not file.is_file():
        return {}
    try:
        known = json.loads(read_text_file(file))
        return {name: path for name, path in known.items() if isinstance(path, str)}
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}


def _is_there(path: str) -> bool:
    try:
        return Path(path).exists()
    except (OSError, ValueError):  # too long, or with a null character
        return False
