"""Packages of strangers with plugins, installed in a folder on the path for a while."""

from __future__ import annotations

import sys
from contextlib import contextmanager

from alspec import plugins

GROUP = "alspec.acquisition"


def write_package(folder, name, methods, code, group=GROUP, version="1.2"):
    """A module and its dist-info; `methods` maps entry point names to attributes."""
    module = name.replace("-", "_")
    (folder / f"{module}.py").write_text(code)
    info = folder / f"{module}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = [f"{method} = {module}:{target}" for method, target in methods.items()]
    (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines, ""]))
    return module


def forget():
    """Has the plugin door look again."""
    plugins._entry_points.cache_clear()
    plugins.load.cache_clear()


@contextmanager
def installed(folder, name, methods, code, **options):
    """A package on the path inside the block; yields its module's name."""
    module = write_package(folder, name, methods, code, **options)
    sys.path.insert(0, str(folder))
    forget()
    try:
        yield module
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop(module, None)
        forget()
