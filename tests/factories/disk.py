"""A disk of its own, in memory, that can be really full; skips where mounting is not permitted."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager

import pytest


@contextmanager
def disk_of(path, size):
    """Mount a disk of a size, as `mount` spells it, at a path that is made; gone in the end."""
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)]
    try:
        mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    except OSError as err:
        pytest.skip(f"no mount here: {err}")
    if mounted.returncode:
        pytest.skip(f"mounting is not permitted here: {mounted.stderr.strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=False)


@contextmanager
def overlay_over(lower, path):
    """Mount an overlay, as containers have it, over a folder that is its lower layer."""
    folders = {name: path / name for name in ("upper", "work", "merged")}
    for folder in folders.values():
        folder.mkdir(parents=True)
    layers = f"lowerdir={lower},upperdir={folders['upper']},workdir={folders['work']}"
    mount = ["mount", "-t", "overlay", "overlay", "-o", layers, str(folders["merged"])]
    try:
        mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    except OSError as err:
        pytest.skip(f"no mount here: {err}")
    if mounted.returncode:
        pytest.skip(f"mounting is not permitted here: {mounted.stderr.strip()}")
    try:
        yield folders["merged"]
    finally:
        subprocess.run(["umount", "-l", str(folders["merged"])], check=False)
