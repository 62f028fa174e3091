"""Cached arrays on disk: named, written whole, and ignored when unreadable."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alspec.system.atomic import write_bytes


def user_cache_folder() -> Path | None:
    """The user's cache of alspec (`XDG_CACHE_HOME`, else `~/.cache`); None without a home."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    if named and Path(named).is_absolute():
        return Path(named) / "alspec"
    try:
        home = Path.home()
    except (RuntimeError, KeyError):
        return None
    return home / ".cache" / "alspec" if home.is_dir() else None


@dataclass(frozen=True)
class ArrayCache:
    """Groups of arrays by name, in one or several folders; nothing depends on what it holds.

    Attributes:
        folders: searched in this order; everything is saved in each that can be written.
    """

    folders: tuple[Path, ...] = ()

    @classmethod
    def of_user(cls, *before: Path) -> ArrayCache:
        """The user's cache, searched after some folders."""
        user = user_cache_folder()
        return cls((*before, user) if user else before)

    def load(self, name: str) -> dict[str, NDArray[np.generic]] | None:
        """The arrays saved under a name; None where there are none, or none that can be read."""
        for folder in self.folders:
            try:
                with np.load(folder / f"{name}.npz", allow_pickle=False) as arrays:
                    return {key: arrays[key] for key in arrays.files}
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, MemoryError):
                continue
        return None

    def save(self, name: str, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Save arrays; a folder that cannot be written is passed over."""
        buffer = io.BytesIO()
        named: dict[str, Any] = dict(arrays)  # a name could be that of an option of savez
        np.savez(buffer, **named)
        for folder in self.folders:
            with suppress(OSError):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                write_bytes(folder / f"{name}.npz", buffer.getvalue())
