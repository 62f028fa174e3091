"""Compares the folder of a committed step with what its manifest says of it."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypedDict

from alspec.errors import StoreError
from alspec.store.hashing import sha256_once
from alspec.system.atomic import json_text
from alspec.system.processes import is_left_behind

MANIFEST = "manifest.json"

FORMAT = 2
"""Of the manifests written here; raised when a reader of before would misread a newer one. One
without a format is of the first. What a reader does not know of its own format it passes over."""

HASHED_BYTES = 4 << 20
"""Larger files are hashed when a step reads them, and before that if they are newer than the
manifest, which is written after them."""

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_BESIDE = re.compile(r"\..+\.[0-9a-f]{8}-\d+-[0-9a-f]{8}")


LocalPaths: TypeAlias = Mapping[str, Mapping[str, Any]]
"""What a step reads on this machine, by role: `dataset`, a spec as plain data; `model`, files."""


class Recipe(TypedDict):
    """What a step's key is made of, as `plan.step.Step.recipe` writes it."""

    kind: str
    version: int
    params: Mapping[str, object]
    inputs: Mapping[str, str]


class StepRecord(TypedDict):
    """A step as JSON: all a worker needs to know of it."""

    key: str
    recipe: Recipe
    places: LocalPaths
    label: str


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file of a committed step: size in bytes, SHA-256, and whether it was dropped since."""

    bytes: int
    sha256: str
    dropped: bool = False

    @classmethod
    def of(cls, about: Mapping[str, Any]) -> Artifact:
        """An artifact as a manifest describes it, whatever else it says."""
        return cls(about["bytes"], about["sha256"], about.get("dropped", False))


class NewerManifest(Exception):
    """A manifest of a format that a later version of alspec writes."""


def is_safe(name: str) -> bool:
    """Whether a key or a file's name stays inside its folder."""
    return _SAFE.fullmatch(name) is not None


def safe_name(name: str) -> str:
    """A key or a file name that cannot lead out of its folder, or StoreError."""
    if not is_safe(name):
        raise StoreError(f"`{name}` is neither a key nor a file name of the store")
    return name


def manifest_text(step: StepRecord, files: Mapping[str, object]) -> str:
    """A manifest; it holds its own SHA-256, so that no change to it goes unseen."""
    return _sealed({"format": FORMAT, "step": step, "files": files})


def manifest_without(raw: bytes, name: str) -> str:
    """A manifest with an artifact marked as dropped, its other entries as they were."""
    content: dict[str, Any] = json.loads(raw)
    content.pop("sha256", None)
    content["files"][name]["dropped"] = True
    return _sealed(content)


def _sealed(content: Mapping[str, object]) -> str:
    return json_text({**content, "sha256": hashlib.sha256(json_text(content).encode()).hexdigest()})


def read_manifest(key: str, raw: bytes) -> tuple[StepRecord, dict[str, Artifact]]:
    """The step and the artifacts that a manifest describes.

    Raises:
        ValueError: it is none, was changed, or describes another step.
        NewerManifest: it is as it was written, by a later version of alspec.
    """
    try:
        content = json.loads(raw)
        written = content.get("format", 1)
        if written > FORMAT and _seals_itself(raw, content):
            raise NewerManifest(
                f"it was written by a later version of alspec (manifest format {written}, this "
                f"version reads up to {FORMAT}). Install that version (pip install -U alspec), or "
                "choose another --work-dir"
            )
        step: StepRecord = content["step"]
        files = content["files"]
        described = {safe_name(name): Artifact.of(about) for name, about in files.items()}
        if not isinstance(step, dict):
            raise TypeError("its step is no mapping")
        untouched = _seals_itself(raw, content) or (
            set(content) == {"step", "files"} and raw == json_text(content).encode()
        )
        of = step.get("key", key)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, StoreError) as err:
        raise ValueError(f"it is no manifest: {err}") from err
    if not untouched:
        raise ValueError("it was changed after it was written")
    if of != key:
        raise ValueError(f"it describes the step {of}")
    return step, described


def _seals_itself(raw: bytes, content: Mapping[str, object]) -> bool:
    """Whether a manifest's SHA-256, in its place, is that of all other lines."""
    if list(content) != sorted(content):
        return False
    before, *after = raw.split(f'\n "sha256": "{content.get("sha256")}",'.encode())
    if len(after) != 1:
        return False
    return bool(hashlib.sha256(before + after[0]).hexdigest() == content["sha256"])


def check_artifact(path: Path, described: Artifact, *, hashed: bool = True) -> str:
    """What is wrong with an artifact's file; empty if nothing is."""
    if path.is_symlink():
        return "it is a link"
    try:
        if not path.is_file():
            return "it is missing"
        if path.stat().st_size != described.bytes:
            return "its size is not the manifest's"
        if hashed and sha256_once(path) != described.sha256:
            return "its SHA-256 is not the manifest's"
    except OSError as err:
        return f"it cannot be read: {err.strerror}"
    return ""


def first_corruption(home: Path, artifacts: Mapping[str, Artifact]) -> tuple[Path, str] | None:
    """The first file of a step's folder that is not as the manifest says, and what is wrong."""
    large_and_changed = False
    for name, described in artifacts.items():
        if described.dropped:
            continue
        path, large = home / name, described.bytes > HASHED_BYTES
        changed = large and not _is_older(path, home / MANIFEST)
        if why := check_artifact(path, described, hashed=changed or not large):
            return path, why
        large_and_changed |= changed
    for entry in sorted(os.listdir(home)):  # noqa: PTH208 - a Path each is slow for 1,000 steps
        if entry not in artifacts and entry != MANIFEST and not _written_now(home / entry):
            return home / entry, "unexpected file"
    if large_and_changed:  # by a copy, which keeps no times: not to be hashed at every start
        with suppress(OSError):
            os.utime(home / MANIFEST)
    return None


def _is_older(path: Path, manifest: Path) -> bool:
    """Whether a file was last written before the manifest was."""
    try:
        return path.stat().st_mtime_ns < manifest.stat().st_mtime_ns
    except OSError:
        return False


def _written_now(path: Path) -> bool:
    """Whether a file is a manifest on its way; one whose writer is gone is removed."""
    if path.is_symlink() or not _BESIDE.fullmatch(path.name):
        return False
    if is_left_behind(path):
        with suppress(OSError):
            path.unlink(missing_ok=True)
    return True
