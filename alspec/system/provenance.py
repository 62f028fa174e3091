"""Where and with what a step was computed."""

from __future__ import annotations

import platform
import socket
from functools import cache
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("alspec", "torch", "mmsegmentation", "mmengine", "mmcv", "mmcv-lite", "numpy")


@cache
def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide results; absent ones are left out."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def machine(device: str) -> dict[str, object]:
    """Host, device and versions, as a step's artifacts record them."""
    return {"host": socket.gethostname(), "device": device, "versions": versions()}
