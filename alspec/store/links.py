"""Refuses links below a work directory: whoever lays one decides which file a run reads or writes.

Opening a file without following a link (`system.atomic.append_text`, the image cache) holds for its
last part alone; that no folder on the way is a link is looked at here, before a run begins.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from alspec.errors import InputError
from alspec.store.folders import StoreFolders

_STEP = re.compile("[0-9a-f]{64}")
_OWN = ("events.jsonl", "logs", "figures", "selections", "spec.yaml")


def refuse_links(store: Path, study: Path | None = None) -> None:
    """Look at a store's own folders and at a study's; steps are compared with their manifests.

    Args:
        store: its root; need not be there.
        study: the study's folder; need not be there.

    Raises:
        InputError: one of them, or a file in them, is a link.
    """
    for link in (*_links_in_store(store), *(_links_in_study(study) if study else ())):
        raise InputError.at(
            link,
            "is a link, and below a work directory none is followed: it would decide which files "
            "a run reads and writes. Put the folder or the file itself there; --work-dir may lie "
            "anywhere",
        )


def _links_in_store(store: Path) -> Iterator[str]:
    if store.is_symlink():
        yield str(store)
        return
    for entry in _entries(store):
        if entry.is_symlink() and not _STEP.fullmatch(entry.name):  # `verify` quarantines those
            yield entry.path
    folders = StoreFolders(store)
    for folder in (*folders.trusted, folders.throughput, folders.published, folders.specs):
        if folder != store:
            yield from (entry.path for entry in _entries(folder) if entry.is_symlink())
    for parent in (folders.images, folders.checkpoints):
        for inner in _entries(parent):
            if inner.is_dir(follow_symlinks=False):
                yield from (entry.path for entry in _entries(inner) if entry.is_symlink())


def _links_in_study(study: Path) -> Iterator[str]:
    if study.is_symlink():
        yield str(study)
        return
    for entry in _entries(study):
        if entry.is_symlink():
            yield entry.path
        elif entry.name in _OWN and entry.is_dir():
            for inner in _entries(entry):
                if inner.is_symlink():
                    yield inner.path


def _entries(folder: Path | os.DirEntry[str]) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []
