"""The kinds of step, one module each; whatever module defines `KIND` is one."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules

from alspec.plan.kinds.acquire import KIND as ACQUIRE
from alspec.plan.kinds.evaluate import KIND as EVALUATE
from alspec.plan.kinds.pool import KIND as POOL
from alspec.plan.kinds.record import Kind
from alspec.plan.kinds.train import KIND as TRAIN

__all__ = ["ACQUIRE", "EVALUATE", "KINDS", "POOL", "TRAIN", "Kind"]


def _found() -> dict[str, Kind]:
    names = sorted(module.name for module in iter_modules(__path__))
    modules = (import_module(f"{__name__}.{name}") for name in names)
    kinds = [module.KIND for module in modules if hasattr(module, "KIND")]
    order = [POOL, TRAIN, EVALUATE, ACQUIRE]  # that a study takes them in; others follow
    kinds.sort(key=lambda kind: (order.index(kind) if kind in order else len(order), kind.name))
    return {kind.name: kind for kind in kinds}


KINDS: Mapping[str, Kind] = _found()
"""Every kind by its name."""
