"""Checks who else may write in a store: whoever can, can decide what a run finds and runs."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from alspec.errors import InputError
from alspec.store.folders import StoreFolders

_ROOT = 0


def check_owners(store: Path, study: Path | None = None) -> Iterator[str]:
    """Warnings of those folders of a store and of a study that others can write in.

    A folder is fine that belongs to this user or to root, or is shared with a group of this
    user's, and that not everybody can write in. Systems without users are not checked.

    Args:
        store: its root; need not be there.
        study: the study's folder; need not be there.

    Raises:
        InputError: a folder belongs to somebody else, and everybody can write in it: so it looks
            where a trap was laid.
    """
    if not hasattr(os, "geteuid"):
        return
    for folder in (*StoreFolders(store).trusted, *([study] if study else [])):
        with suppress(FileNotFoundError, NotADirectoryError):
            if warning := _warning(folder):
                yield warning
    with suppress(FileNotFoundError, NotADirectoryError):
        yield from _warnings_within(store)


def _warnings_within(store: Path) -> Iterator[str]:
    """A sentence on the steps and the decoded images that others can write or made."""
    ours = {os.geteuid(), _ROOT, store.stat().st_uid}
    group = store.stat().st_gid if store.stat().st_mode & stat.S_IWGRP else None
    inner: list[os.DirEntry[str]] = []
    for folder in (store, StoreFolders(store).images):
        with suppress(FileNotFoundError), os.scandir(folder) as entries:
            inner += [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
    foreign = []
    for entry in inner:
        about = entry.stat(follow_symlinks=False)
        if about.st_mode & stat.S_IWOTH and Path(entry.path) not in StoreFolders(store).trusted:
            yield _warning(Path(entry.path))
        elif about.st_uid not in ours and about.st_gid != group:
            foreign.append((entry.path, about.st_uid))
    if foreign:
        path, user = foreign[0]
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        yield f"{path}{more}: belongs to {_name(user)}, who decides what is in it"


def _warning(folder: Path) -> str:
    about = folder.stat()
    foreign = about.st_uid not in (os.geteuid(), _ROOT)
    if about.st_mode & stat.S_IWOTH:
        if foreign:
            raise InputError.at(
                folder,
                f"belongs to {_name(about.st_uid)}, and everybody can write there, so what is in "
                "it cannot be trusted. Choose another --work-dir, or share a store by its group",
            )
        return f"{folder}: everybody can write there and so change results: chmod -R o-w {folder}"
    shared = about.st_mode & stat.S_IWGRP and about.st_gid in {os.getegid(), *os.getgroups()}
    if foreign and not shared:
        return f"{folder}: belongs to {_name(about.st_uid)}, who decides what is in it"
    return ""


def _name(user: int) -> str:
    try:
        import pwd

        return f"{pwd.getpwuid(user).pw_name} (user {user})"
    except (ImportError, KeyError):
        return f"user {user}"
