"""Tells who else may write in a store: whoever can, can decide what a run finds and runs."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from alspec.errors import InputError
from alspec.store.folders import StoreFolders

_ROOT = 0


def check_owners(store: Path) -> Iterator[str]:
    """Warnings of those folders of a store that others can write in.

    A folder is fine that belongs to this user or to root, or is shared with a group of this
    user's, and that not everybody can write in. Systems without users have nothing to tell.

    Args:
        store: its root; need not be there.

    Raises:
        InputError: a folder belongs to somebody else, and everybody can write in it: so it looks
            where a trap was laid.
    """
    if not hasattr(os, "geteuid"):
        return
    for folder in StoreFolders(store).trusted:
        with suppress(FileNotFoundError, NotADirectoryError):
            if told := _warning(folder):
                yield told


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
