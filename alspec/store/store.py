"""Committed steps by key: written whole, read only as they were written."""

from __future__ import annotations

import errno
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from alspec.errors import StoreError
from alspec.store.drafts import new_draft
from alspec.store.folders import StoreFolders
from alspec.store.manifest import (
    MANIFEST,
    Artifact,
    NewerManifest,
    Recipe,
    StepRecord,
    check_artifact,
    first_corruption,
    is_safe,
    manifest_text,
    manifest_without,
    read_manifest,
)
from alspec.store.manifest import safe_name as _safe
from alspec.store.retention import Retention
from alspec.system import failpoints
from alspec.system.atomic import json_text, sha256_of, sync, write_json, write_text

_Read = TypeVar("_Read")

Identity: TypeAlias = tuple[int, int]
"""Device and inode of a step's folder: another one is another commit."""


class _MadeAgain(StoreError):
    """What was read is gone: another process has set it aside and committed the step anew."""


def _until_still(read: Callable[[], _Read]) -> _Read:
    """Read a step, anew for as long as others commit it again meanwhile."""
    while True:
        try:
            return read()
        except _MadeAgain:
            continue


@dataclass(frozen=True)
class Store:
    """Committed steps below one root.

    A step is done when its manifest is there: artifacts are written in a draft folder on the same
    disk, synced, described by the manifest, and moved in place by one rename.
    """

    root: Path
    _read: dict[tuple[str, str], Artifact] = field(default_factory=dict, repr=False, compare=False)

    @property
    def folders(self) -> StoreFolders:
        """Where everything lies that is not a committed step."""
        return StoreFolders(self.root)

    def home(self, key: str) -> Path:
        """The folder of a step, there or not. Raises StoreError for what cannot be a key."""
        return self.root / _safe(key)

    def is_done(self, key: str) -> bool:
        """Whether the step is committed."""
        return (self.home(key) / MANIFEST).is_file()

    def done(self, keys: Iterable[str]) -> set[str]:
        """Those of some steps that are committed; for 10,000 far faster than one by one."""
        try:
            there = {entry.name: entry.path for entry in os.scandir(self.root)}
        except (FileNotFoundError, NotADirectoryError):
            return set()
        among = {key for key in keys if key in there}
        return {key for key in among if os.path.isfile(f"{there[key]}/{MANIFEST}")}  # noqa: PTH113

    def artifacts(self, key: str) -> Mapping[str, Artifact]:
        """What a committed step holds.

        Raises:
            StoreError: the step is not done, or its manifest is corrupt; then it is quarantined.
        """
        return self._manifest(key)[1]

    def _manifest(self, key: str) -> tuple[StepRecord, dict[str, Artifact]]:
        return _until_still(lambda: self._manifest_now(key))

    def _manifest_now(self, key: str) -> tuple[StepRecord, dict[str, Artifact]]:
        path, seen = self.home(key) / MANIFEST, self._identity(key)
        try:
            if self.home(key).is_symlink() or path.is_symlink():
                raise ValueError("it is a link")
            return read_manifest(key, path.read_bytes())
        except OSError as err:
            raise StoreError(f"{path}: cannot be read ({err.strerror})") from err
        except NewerManifest as err:
            raise StoreError(f"{path}: {err}") from err
        except ValueError as err:
            raise self._corrupt(key, path, str(err), seen) from err

    def recipe_of(self, key: str) -> Recipe:
        """The recipe that a committed step was made by. Raises StoreError as `artifacts` does."""
        return self._manifest(key)[0]["recipe"]

    def committed(self) -> Iterator[StepRecord]:
        """The description of every committed step, the last committed first; reads only.

        What is corrupt is passed over and left as it is.
        """
        found = [path for path in self.root.glob(f"*/{MANIFEST}") if is_safe(path.parent.name)]
        for path in sorted(found, key=lambda path: -path.stat().st_mtime):
            try:
                yield read_manifest(path.parent.name, path.read_bytes())[0]
            except (OSError, ValueError, NewerManifest):
                continue

    def verify(self, key: str) -> None:
        """Compare all that a committed step has with its manifest.

        Raises:
            StoreError: something is corrupt, missing or too much; the step is quarantined.
        """
        _until_still(lambda: self._verify_now(key))

    def _verify_now(self, key: str) -> None:
        seen = self._identity(key)
        fault = first_corruption(self.home(key), described := self.artifacts(key))
        while fault and self.artifacts(key) != described:  # something was dropped meanwhile
            fault = first_corruption(self.home(key), described := self.artifacts(key))
        if fault:
            raise self._corrupt(key, *fault, seen)

    def holds(self, key: str, name: str) -> bool:
        """Whether a committed step still has this artifact (weights may have been dropped)."""
        if not self.is_done(key):
            return False
        artifact = self.artifacts(key).get(name)
        return artifact is not None and not artifact.dropped

    # ---- writing

    @contextmanager
    def draft(self, key: str, step: StepRecord) -> Iterator[Path]:
        """A folder to write artifacts into; committed when the block ends well, else removed."""
        folder = new_draft(self.folders.drafts, _safe(key))
        try:
            failpoints.at("commit.draft", folder)
            yield folder
            self._commit(key, folder, step)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _commit(self, key: str, folder: Path, step: StepRecord) -> None:
        files = {}
        for path in sorted(folder.iterdir()):
            sync(path)
            files[_safe(path.name)] = {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
        failpoints.at("commit.manifest", folder)
        write_text(folder / MANIFEST, manifest_text(step, files))
        sync(folder)
        replaced = self._make_room(key, files)
        try:
            failpoints.at("commit.rename", self.home(key))
            folder.rename(self.home(key))
        except OSError:  # a twin finished first: the same key, the same recipe
            if not self.is_done(key):
                raise
        failpoints.at("commit.renamed", self.home(key))
        sync(self.root)
        if replaced is not None:
            shutil.rmtree(replaced, ignore_errors=True)
        for cached in [pair for pair in self._read if pair[0] == key]:
            del self._read[cached]

    def _make_room(self, key: str, files: Mapping[str, object]) -> Path | None:
        """Quarantine what is at the step's path, unless it has all the new files.

        Returns:
            Where a step went that lacks nothing but dropped artifacts; None if none went.
        """
        seen = self._identity(key)
        if seen is None:
            return None
        try:
            if not self.is_done(key):
                self._quarantine(key, seen)
                return None
            lacking = any(not self.holds(key, name) for name in files)
            return self._quarantine(key, seen) if lacking else None
        except StoreError:  # corrupt, of a later version, or committed by a twin meanwhile
            return None

    def _identity(self, key: str) -> Identity | None:
        """Which folder is at a step's path now; None for none."""
        return _identity_of(self.home(key))

    def _quarantine(self, key: str, seen: Identity | None) -> Path:
        """Move a step out of the way, if it is still the folder that was looked at.

        Raises:
            OSError: it cannot be moved.
            _MadeAgain: another process has committed the step again; that one stays.
        """
        aside = self.folders.quarantine / f"{key[:16]}-{uuid.uuid4().hex[:8]}"
        aside.parent.mkdir(exist_ok=True)
        failpoints.at("quarantine.rename", aside)
        again = _MadeAgain(f"{self.home(key)}: was made again while it was read. Run again")
        if self._identity(key) != seen:
            raise again
        try:
            moved = self.home(key).rename(aside)
        except OSError as err:
            if err.errno != errno.EXDEV:
                raise
            moved = self._copied_away(key, aside)
            failpoints.at("quarantine.renamed", aside)
            return moved
        if _identity_of(moved) != seen:  # between the look and the rename
            with suppress(OSError):  # there is a third one by now
                moved.rename(self.home(key))
            raise again
        failpoints.at("quarantine.renamed", aside)
        return moved

    def _copied_away(self, key: str, aside: Path) -> Path:
        """Move a step where its folder cannot be renamed: in the lower layer of an overlay."""
        shutil.copytree(self.home(key), aside, symlinks=True)
        (self.home(key) / MANIFEST).unlink(missing_ok=True)  # from here on it is not done
        shutil.rmtree(self.home(key))
        return aside

    def _corrupt(self, key: str, path: Path, why: str, seen: Identity | None) -> StoreError:
        """Quarantine a corrupt step, so that the next run recomputes it; the error that says so.

        Args:
            key: the step's.
            path: the file that is corrupt.
            why: what is wrong with it.
            seen: the folder that was read.
        """
        try:
            aside = self._quarantine(key, seen)
            what = f"its step was quarantined as {aside} and will be recomputed"
        except _MadeAgain as again:
            return again
        except OSError:
            what = f"remove {self.home(key)}"
        return StoreError(f"{path}: corrupt ({why}); {what}. Run again")

    def drop(self, key: str, name: str) -> None:
        """Forget a large artifact nobody needs any more; the step stays done."""
        if not self.holds(key, name):
            return
        manifest = self.home(key) / MANIFEST
        write_text(manifest, manifest_without(manifest.read_bytes(), name))
        failpoints.at("drop.unlink", self.home(key) / name)
        (self.home(key) / name).unlink(missing_ok=True)

    # ---- reading

    def file(self, key: str, name: str) -> Path:
        """The path of an artifact whose bytes match the manifest.

        Raises:
            StoreError: it is missing, dropped or corrupt; a corrupt step is quarantined.
        """
        return _until_still(lambda: self._file_now(key, name))

    def _file_now(self, key: str, name: str) -> Path:
        path, seen = self.home(key) / _safe(name), self._identity(key)
        described = self.artifacts(key).get(name)
        if described is None or described.dropped:
            raise StoreError(f"{path}: not among the artifacts of this step")
        if self._read.get((key, name)) != described:
            if why := check_artifact(path, described):
                raise self._corrupt(key, path, why, seen)
            self._read[key, name] = described
        return path

    def read_json(self, key: str, name: str) -> Mapping[str, object]:
        """A JSON artifact, which is a mapping."""
        content: Mapping[str, object] = json.loads(self.file(key, name).read_text("utf-8"))
        return content

    def read_lines(self, key: str, name: str) -> list[str]:
        """A text artifact, one item a line."""
        return self.file(key, name).read_text("utf-8").splitlines()

    def read_array(self, key: str, name: str) -> NDArray[np.generic]:
        """A .npy artifact; StoreError for one of objects, whose step is quarantined."""
        return _until_still(lambda: self._array_now(key, name))

    def _array_now(self, key: str, name: str) -> NDArray[np.generic]:
        seen = self._identity(key)
        path = self.file(key, name)
        try:
            with path.open("rb") as file:
                array: NDArray[np.generic] = np.lib.format.read_array(file, allow_pickle=False)
        except (ValueError, TypeError, SyntaxError, EOFError, MemoryError) as err:
            raise self._corrupt(key, path, f"it is no array of numbers: {err}", seen) from err
        return array

    # ---- recipes: all a worker needs to know of a step

    def recipe_path(self, key: str) -> Path:
        """Where the description of a step lies while it waits to be run."""
        return self.folders.recipes / f"{_safe(key)}.json"

    def write_recipe(self, step: StepRecord) -> None:
        """Describe a step for the worker that will run it."""
        path = self.recipe_path(step["key"])
        failpoints.at("recipe.write", path)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json_text(step))

    @property
    def images(self) -> Path:
        """Cache of decoded images; it can be removed at any time."""
        return self.folders.images

    @property
    def retention(self) -> Retention:
        """What the studies of this store want of trainings' weights."""
        return Retention(self.folders.retention)

    def is_checked(self, what: str) -> bool:
        """Whether something outside the store was noted as good by `note_checked`."""
        return self._mark(what).is_file()

    def note_checked(self, what: str, about: Mapping[str, object]) -> None:
        """Note that something outside the store, named by its identity, was found good."""
        mark = self._mark(what)
        mark.parent.mkdir(parents=True, exist_ok=True)
        write_json(mark, about)

    def read_checked(self, what: str) -> dict[str, object]:
        """What was noted with `note_checked`; empty where nothing readable was."""
        try:
            about: dict[str, object] = json.loads(self._mark(what).read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return about

    def recorded_content(self, fingerprint: str) -> str:
        """What `record_content` first had under a fingerprint; empty where nothing readable is."""
        try:
            content = json.loads(self._record(fingerprint).read_text("utf-8"))["content"]
        except (OSError, ValueError, KeyError, TypeError):
            return ""
        return str(content)

    def record_content(self, fingerprint: str, content: str) -> str:
        """Record what a dataset's files hold, unless that was recorded; what holds from now on."""
        if not self.recorded_content(fingerprint):
            path = self._record(fingerprint)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(path, {"content": content})
        return self.recorded_content(fingerprint)

    def _record(self, fingerprint: str) -> Path:
        return self.folders.contents / f"{_safe(fingerprint)}.json"

    def _mark(self, what: str) -> Path:
        return self.folders.checked / f"{_safe(what)}.json"

    def checkpoints(self, key: str) -> Path:
        """Where a step writes its checkpoints; not there when the step is done."""
        return self.folders.checkpoints / _safe(key)

    def checkpointed(self) -> list[Path]:
        """The folders of checkpoints that there are, each named after its step's key."""
        found = sorted(self.folders.checkpoints.glob("*"))
        return [folder for folder in found if is_safe(folder.name)]

    def read_recipe(self, key: str) -> StepRecord:
        """The step described under a key. Raises StoreError if none is."""
        path = self.recipe_path(key)
        try:
            recipe: StepRecord = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as err:
            raise StoreError(f"{path}: no readable recipe ({err})") from err
        return recipe


def _identity_of(path: Path) -> Identity | None:
    try:
        about = os.lstat(path)
    except OSError:
        return None
    return about.st_dev, about.st_ino
