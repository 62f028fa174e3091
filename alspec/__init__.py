"""alspec tells you which images to label for semantic segmentation, and measures it.

    import alspec

    study = alspec.load("specs/quickstart.yaml", {"training.epochs": 2})
    plan = alspec.plan(study)
    done = alspec.run(study, devices="cpu", progress=print)

    project = alspec.load("drive/project.yaml")
    batch = alspec.select(project, to="cvat")
    alspec.ingest(project, "export.zip")

The functions are those of `alspec.api`, which is loaded when one is first called. Four of them have
the names of packages (`alspec.plan` holds the planner): those packages can be called.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from inspect import Signature, signature
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alspec.api import (
        check,
        ingest,
        load,
        outlook,
        plan,
        predict,
        publish,
        recommend,
        results,
        run,
        select,
        status,
    )  # fmt: skip
    from alspec.errors import AlspecError

__version__ = "0.2.0"

__all__ = [
    "AlspecError", "check", "ingest", "load", "outlook", "plan", "predict", "publish", "recommend",
    "results", "run", "select", "status",
]  # fmt: skip

_PACKAGES = frozenset({"plan", "recommend", "results", "run"})


class _CallablePackage(ModuleType):
    """A package that is also the function of its name in `alspec.api`."""

    def __call__(self, *args: object, **kwargs: object) -> object:
        return self._function(*args, **kwargs)

    @property
    def _function(self) -> Callable[..., object]:
        found: Callable[..., object] = getattr(import_module("alspec.api"), self.__name__[7:])
        return found

    @property
    def __signature__(self) -> Signature:
        return signature(self._function)


class _Alspec(ModuleType):
    """This package; it makes those packages callable when the import system hands them over."""

    def __setattr__(self, name: str, value: object) -> None:
        if name in _PACKAGES and isinstance(value, ModuleType):
            value.__class__ = _CallablePackage
        super().__setattr__(name, value)


def __getattr__(name: str) -> object:
    if name in _PACKAGES:
        return import_module(f"alspec.{name}")
    if name == "AlspecError":
        return import_module("alspec.errors").AlspecError
    if name in __all__:
        return getattr(import_module("alspec.api"), name)
    raise AttributeError(f"module 'alspec' has no attribute {name!r}")


sys.modules[__name__].__class__ = _Alspec
