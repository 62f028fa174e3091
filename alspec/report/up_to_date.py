"""Decides whether what a study has published is still up to date with its store."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path

import alspec
from alspec.plan.dag import Plan
from alspec.results.leaks import read_leaks
from alspec.store.manifest import MANIFEST
from alspec.store.study_folder import StudyFolder
from alspec.system.atomic import sha256_of, write_json

_CODE = ("results", "report", "recommend")
"""What decides the published bytes for the same store, below the package."""

_LIBRARIES = ("numpy", "pandas", "matplotlib", "scipy")


def input_digest_of(plan: Plan, folder: StudyFolder) -> str:
    """SHA-256 over all that published files follow from: plan, finished steps, code, place."""
    digest = hashlib.sha256()
    study = plan.study.model_dump_json(exclude={"execution"})
    parts = [study, repr(plan.runs), repr(plan.settings), str(folder.root)]
    parts.append(repr(read_leaks(folder)))
    for text in parts:
        digest.update(f"{len(text)} {text}".encode())
    digest.update(_renderer())
    for key in plan.steps:
        try:
            manifest = (folder.store.home(key) / MANIFEST).read_bytes()
        except OSError:  # not done
            manifest = b""
        digest.update(hashlib.sha256(manifest).digest())
    return digest.hexdigest()


def is_up_to_date(input_digest: str, folder: StudyFolder) -> bool:
    """Whether the study's folder holds the files published from these inputs, unchanged.

    Args:
        input_digest: as `input_digest_of` gives it; the steps have been verified.
        folder: the study's.
    """
    try:
        recorded = json.loads(_record(folder).read_text("utf-8"))
        files: dict[str, str] = recorded["files"]
        return recorded["origin"] == input_digest and files == _written(folder)
    except (OSError, ValueError, TypeError, KeyError):
        return False


def record_published(input_digest: str, folder: StudyFolder) -> None:
    """Note what has been published from where; nothing while another run publishes as well."""
    record = _record(folder)
    record.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        content = {"origin": input_digest, "files": _written(folder)}
        write_json(record, content)


def _record(folder: StudyFolder) -> Path:
    return folder.store.folders.published / f"{folder.study}.json"


def _written(folder: StudyFolder) -> dict[str, str]:
    """Path below the study's folder to SHA-256 of every published file."""
    paths = [
        folder.report,
        folder.report_html,
        *folder.root.glob("*.csv"),
        *folder.root.glob("data.json"),
        *folder.figures.glob("*"),
    ]
    paths += [*folder.selections.glob("*/*.txt"), *folder.selections.glob("*/*.csv")]
    whole = sorted(path for path in paths if not path.name.startswith("."))
    return {path.relative_to(folder.root).as_posix(): sha256_of(path) for path in whole}


@cache
def _renderer() -> bytes:
    """SHA-256 over the code that publishes and its libraries, as this process has them."""
    digest = hashlib.sha256(" ".join(map(version, _LIBRARIES)).encode())
    for path in _code():
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.digest()


def _code() -> Iterator[Path]:
    home = Path(alspec.__file__).parent
    for name in _CODE:
        files = (path for path in (home / name).rglob("*.*") if path.is_file())
        yield from sorted(path for path in files if path.suffix != ".pyc")
