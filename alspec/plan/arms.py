"""The arms of a study: architectures, ways to train them, and the methods compared in each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from alspec import plugins
from alspec.acquisition.base import Acquisition, Family, Need
from alspec.errors import PluginError
from alspec.spec.model import Method, Study

_GROUP = "alspec.acquisition"


@dataclass(frozen=True, slots=True)
class Arm:
    """An architecture and a way to train it; results are compared inside an arm of dropout.

    Attributes:
        ssl: trained with s4GAN.
        mc_dropout: with dropout layers in the decoder.
    """

    ssl: bool
    mc_dropout: bool


def acquisition_function(name: str) -> type[Acquisition]:
    """The class of an acquisition function, with all that the plan asks of it.

    Raises:
        PluginError: it cannot be loaded, or declares no `family`, `needs` or `version`; the
            message names the package.
    """
    function: type[Acquisition] = plugins.load(_GROUP, name)
    wanted = {"family": Family, "needs": frozenset, "version": int}
    for attribute, kind in wanted.items():
        if not isinstance(getattr(function, attribute, None), kind):
            packages = [p.package for p in plugins.declared(_GROUP) if p.name == name]
            raise PluginError(
                f"the acquisition function `{name}` of {', '.join(packages)} must declare "
                f"`{attribute}`, a {kind.__name__}; update that package"
            )
    return function


def chooses_first(name: str) -> bool:
    """Whether an acquisition function chooses its own initial set; it needs no model then."""
    function = acquisition_function(name)
    return bool(getattr(function, "chooses_first", False)) and not function.needs


def arms_of(study: Study) -> Iterator[Arm]:
    """Every arm, whether or not a method belongs to it."""
    for mc_dropout in (False, True):
        for ssl in study.ssl:
            yield Arm(ssl, mc_dropout)


def methods_of(study: Study, arm: Arm) -> tuple[Method, ...]:
    """The arm's methods; those that need dropout layers get a Random of their own.

    It is the study's first Random, label and candidates included; `random` where there is none.
    """
    own = tuple(method for method in study.methods if _wants_dropout(method) == arm.mc_dropout)
    if not (arm.mc_dropout and own):
        return own
    randoms = [method for method in study.methods if method.name == "random"]
    return (*randoms[:1], *own) if randoms else (Method(name="random", label="random"), *own)


def baseline_arms(study: Study) -> Iterator[Arm]:
    """Full once for each architecture: without dropout, and with it where a method needs it."""
    if "full" in study.baselines:
        for mc_dropout in (False, True):
            arm = Arm(ssl=False, mc_dropout=mc_dropout)
            if methods_of(study, arm):
                yield arm


def _wants_dropout(method: Method) -> bool:
    return Need.PASSES in acquisition_function(method.name).needs
