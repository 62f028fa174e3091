"""Every path alspec writes: committed steps by key, and the folder of a study."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alspec.errors import StoreError

MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file of a committed step: its size in bytes, its SHA-256, and whether it was dropped since."""

    bytes: int
    sha256: str
    dropped: bool = False


@dataclass(frozen=True)
class Store:
    """Committed steps below one root.

    A step is done when its manifest is there: artifacts are written in a draft folder on the same
    disk, synced, described by the manifest, and moved in place by one rename.
    """

    root: Path
    _read: dict[tuple[str, str], Artifact] = field(default_factory=dict, repr=False, compare=False)

    def home(self, key: str) -> Path:
        """The folder of a step, there or not."""
        return self.root / key

    def is_done(self, key: str) -> bool:
        """Whether the step is committed."""
        return (self.home(key) / MANIFEST).is_file()

    def artifacts(self, key: str) -> Mapping[str, Artifact]:
        """What a committed step holds. Raises StoreError if the manifest cannot be read."""
        path = self.home(key) / MANIFEST
        try:
            files = json.loads(path.read_text("utf-8"))["files"]
            return {name: Artifact(**described) for name, described in files.items()}
        except (OSError, ValueError, KeyError, TypeError) as err:
            raise StoreError(f"{path}: cannot be read ({err}). Remove {path.parent}") from err

    def holds(self, key: str, name: str) -> bool:
        """Whether a committed step still has this artifact (weights may have been dropped)."""
        if not self.is_done(key):
            return False
        artifact = self.artifacts(key).get(name)
        return artifact is not None and not artifact.dropped

    # ---- writing

    @contextmanager
    def draft(self, key: str, step: Mapping[str, Any]) -> Iterator[Path]:
        """A folder to write artifacts into; committed when the block ends well, else removed."""
        drafts = self.root / "drafts"
        drafts.mkdir(parents=True, exist_ok=True)
        folder = drafts / f"{key[:16]}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        folder.mkdir()
        try:
            yield folder
            self._commit(key, folder, step)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _commit(self, key: str, folder: Path, step: Mapping[str, Any]) -> None:
        files = {}
        for path in sorted(folder.iterdir()):
            _sync(path)
            files[path.name] = {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
        write_text(folder / MANIFEST, _json({"step": step, "files": files}))
        _sync(folder)
        home = self.home(key)
        if home.exists() and not self.is_done(key):  # what a crash between two renames left
            self._set_aside(key)
        if home.exists() and any(
            name in self.artifacts(key) and self.artifacts(key)[name].dropped for name in files
        ):
            self._set_aside(key)
        try:
            os.rename(folder, home)
        except OSError:
            if not self.is_done(key):
                raise
        _sync(self.root)
        for cached in [pair for pair in self._read if pair[0] == key]:
            del self._read[cached]

    def _set_aside(self, key: str) -> None:
        aside = self.root / "aside"
        aside.mkdir(exist_ok=True)
        os.rename(self.home(key), aside / f"{key[:16]}-{uuid.uuid4().hex[:8]}")

    def drop(self, key: str, name: str) -> None:
        """Forget a large artifact nobody needs any more; the step stays done."""
        manifest = self.home(key) / MANIFEST
        data = json.loads(manifest.read_text("utf-8"))
        data["files"][name]["dropped"] = True
        write_text(manifest, _json(data))
        (self.home(key) / name).unlink(missing_ok=True)

    # ---- reading

    def file(self, key: str, name: str) -> Path:
        """The path of an artifact whose bytes match the manifest.

        Raises:
            StoreError: it is missing, dropped or damaged.
        """
        path = self.home(key) / name
        described = self.artifacts(key).get(name)
        if described is None or described.dropped:
            raise StoreError(f"{path}: not among the artifacts of this step")
        if self._read.get((key, name)) != described:
            if not path.is_file() or sha256_of(path) != described.sha256:
                raise StoreError(
                    f"{path}: damaged (its SHA-256 differs from the manifest's). "
                    f"Remove {path.parent} and run again"
                )
            self._read[key, name] = described
        return path

    def read_json(self, key: str, name: str) -> Any:
        """A JSON artifact."""
        return json.loads(self.file(key, name).read_text("utf-8"))

    def read_lines(self, key: str, name: str) -> list[str]:
        """A text artifact, one item a line."""
        return self.file(key, name).read_text("utf-8").splitlines()

    def read_array(self, key: str, name: str) -> NDArray[Any]:
        """A .npy artifact; object arrays are refused."""
        array: NDArray[Any] = np.load(self.file(key, name), allow_pickle=False)
        return array

    # ---- recipes: all a worker needs to know of a step

    def recipe_path(self, key: str) -> Path:
        """Where the description of a step stands while it waits to be run."""
        return self.root / "recipes" / f"{key}.json"

    def write_recipe(self, step: Mapping[str, Any]) -> None:
        """Describe a step for the worker that will run it."""
        path = self.recipe_path(step["key"])
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, _json(step))

    def read_recipe(self, key: str) -> dict[str, Any]:
        """The step described under a key. Raises StoreError if none is."""
        path = self.recipe_path(key)
        try:
            recipe: dict[str, Any] = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as err:
            raise StoreError(f"{path}: no readable recipe ({err})") from err
        return recipe


@dataclass(frozen=True)
class StudyFolder:
    """The folder of one study below the work directory; readable without alspec."""

    work_dir: Path
    study: str

    @property
    def root(self) -> Path:
        """Where the study's own files stand."""
        return self.work_dir / self.study

    @property
    def store(self) -> Store:
        """The store that all studies of a work directory share."""
        return Store(self.work_dir / ".store")

    @property
    def spec(self) -> Path:
        """The resolved spec."""
        return self.root / "spec.yaml"

    @property
    def report(self) -> Path:
        """The report in markdown."""
        return self.root / "report.md"

    @property
    def figures(self) -> Path:
        """The report's figures."""
        return self.root / "figures"

    @property
    def events(self) -> Path:
        """What happened when, one JSON object a line."""
        return self.root / "events.jsonl"

    @property
    def logs(self) -> Path:
        """One text file a failed step, and one a worker."""
        return self.root / "logs"

    def table(self, name: str) -> Path:
        """`results`, `classes` or `runs`."""
        return self.root / f"{name}.csv"

    def selection(self, run: str, cycle: int) -> Path:
        """The labelled set of a run at a cycle, one image id a line, in the order of choice."""
        return self.root / "selections" / run / f"cycle_{cycle}.txt"

    def log_event(self, event: Mapping[str, Any]) -> None:
        """Append one event."""
        self.root.mkdir(parents=True, exist_ok=True)
        with self.events.open("a", encoding="utf-8") as file:
            file.write(json.dumps(dict(event), separators=(",", ":")) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a whole text file or nothing, in UTF-8."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> None:
    """Write a whole file or nothing: beside it, synced, then renamed over it."""
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def write_json(path: Path, data: Any) -> None:
    """Write JSON, whole or not at all; NaN is refused."""
    write_text(path, _json(data))


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write a table, whole or not at all."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_text(path, buffer.getvalue())


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _json(data: Any) -> str:
    return json.dumps(data, indent=1, sort_keys=True, allow_nan=False) + "\n"


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
