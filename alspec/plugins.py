"""The plugin door: names without import, loading on use, failures reported by package."""

from __future__ import annotations

import difflib
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from alspec.errors import PluginError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUPS = {"alspec.acquisition": "acquisition function", "alspec.datasets": "dataset kind"}


LOAD_SECONDS = 120
"""A plugin whose import takes longer is given up; a large library on a slow disk may take one."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """An entry point as its package declares it; nothing is imported yet.

    Attributes:
        group: the entry point group, a key of `GROUPS`.
        name: the name users write in a spec.
        package: the distribution and its version, as `alspec-margin 0.2.0`.
        target: the object, as `module:attribute`.
    """

    group: str
    name: str
    package: str
    target: str


@cache
def _entry_points(group: str) -> tuple[EntryPoint, ...]:
    from importlib.metadata import entry_points  # slow to load, and `--help` asks for none

    return tuple(sorted(entry_points(group=group), key=lambda entry: (entry.name, entry.value)))


def _package(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unnamed package"


def names(group: str) -> tuple[str, ...]:
    """The names in a group, sorted; reads package metadata only."""
    return tuple(sorted({entry.name for entry in _entry_points(group)}))


def declared(group: str) -> Sequence[Plugin]:
    """Every entry point of a group, clashes included."""
    return [
        Plugin(group, entry.name, _package(entry), entry.value) for entry in _entry_points(group)
    ]


@cache
def load(group: str, name: str) -> Any:
    """The object of this name.

    Raises:
        PluginError: no package offers the name, two do, or it could not be imported; the message
            names the packages and what works.
    """
    kind = GROUPS[group]
    found = {
        (entry.value, _package(entry)): entry
        for entry in _entry_points(group)
        if entry.name == name
    }
    if not found:
        near = difflib.get_close_matches(name, names(group), n=1)
        hint = f"Did you mean `{near[0]}`? " if near else ""
        raise PluginError(f"no {kind} `{name}`. {hint}Known: {', '.join(names(group))}")
    if len(found) > 1:
        packages = " and ".join(sorted(package for _, package in found))
        raise PluginError(f"the {kind} `{name}` is claimed by {packages}; uninstall all but one")
    ((value, package), entry) = next(iter(found.items()))
    try:
        with _bounded(LOAD_SECONDS), redirect_stdout(sys.stderr):  # `--json` is JSON alone
            return entry.load()
    except KeyboardInterrupt:
        raise
    except BaseException as err:  # a plugin may fail in any way, SystemExit included
        others = ", ".join(other for other in names(group) if other != name)
        raise PluginError(
            f"the {kind} `{name}` comes from {package} ({value}) but could not be loaded: "
            f"{type(err).__name__}: {err}. Update or uninstall that package. Others: {others}"
        ) from err


@contextmanager
def _bounded(seconds: int) -> Iterator[None]:
    """Raise TimeoutError in what takes too long, where the system can: in the main thread."""
    in_main = threading.current_thread() is threading.main_thread()
    if not (in_main and hasattr(signal, "setitimer")) or signal.getitimer(signal.ITIMER_REAL)[0]:
        yield
        return

    def stop(*_: object) -> None:
        raise TimeoutError(f"its import did not end within {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def maker(group: str, name: str) -> str:
    """A plugin with its package, as an error names it."""
    packages = sorted({plugin.package for plugin in declared(group) if plugin.name == name})
    return f"the {GROUPS[group]} `{name}` of {' and '.join(packages) or 'no installed package'}"


def group_of(name: str) -> str:
    """The group that a plugin is in; an acquisition function where the name is unknown or both."""
    return next((group for group in GROUPS if name in names(group)), next(iter(GROUPS)))
