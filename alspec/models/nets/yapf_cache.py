"""Makes `import mmengine` work beside another process's first one; import this before mmengine.

MMEngine imports yapf, and yapf keeps its parsed grammar as pickles in the user's cache folder. It
renames a new pickle into place before all of it is written: a process that starts at that moment,
or any process after one that was killed there, ends with an EOFError. The cache is not needed, so
a file that cannot be read is removed and the grammar parsed again.
"""

from __future__ import annotations

import importlib
from importlib.metadata import version
from pathlib import Path

_HALF_WRITTEN = ("EOFError", "UnpicklingError", "FileNotFoundError")
"""Errors of a cache that is being written, by name: nothing of alspec imports pickle."""

_ATTEMPTS = 10
"""Each one fails only if another process writes its pickle in the milliseconds between."""


def cached_grammars() -> list[Path]:
    """The pickles of the installed yapf in the user's cache folder, for any version of Python."""
    from platformdirs import user_cache_dir

    folder = Path(user_cache_dir("YAPF", "Google", version=version("yapf")))
    return sorted(folder.glob("*Grammar-py*.pickle"))


def import_yapf() -> None:
    """Import yapf, without the cached grammars where these are not whole.

    Raises:
        OSError: a grammar that is not whole cannot be removed.
    """
    for left in reversed(range(_ATTEMPTS)):
        try:
            importlib.import_module("yapf")
        except Exception as err:
            if type(err).__name__ not in _HALF_WRITTEN or not left:
                raise
            for path in cached_grammars():
                path.unlink(missing_ok=True)
        else:
            return


import_yapf()
