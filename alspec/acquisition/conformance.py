"""The contract of the plugin door as a check: `assert check_acquisition("margin") == []`."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from alspec import plugins
from alspec.acquisition.base import Acquisition, BatchAcquisition, Candidates, Family, Need
from alspec.acquisition.synthetic import IMAGES, SyntheticOutputs, synthetic_candidates
from alspec.errors import PluginError

if TYPE_CHECKING:
    from torch import Tensor

_MAY_NEED = {
    Family.RANDOM: frozenset[Need](),
    Family.SINGLE: frozenset(Need),
    Family.BATCH: frozenset(Need),
}


def check_acquisition(name: str) -> list[str]:
    """What is wrong with the acquisition function of this name.

    Args:
        name: its name on the entry point `alspec.acquisition`.

    Returns:
        A sentence for each broken duty; empty when the function keeps the contract.
    """
    try:
        function = plugins.load("alspec.acquisition", name)
    except PluginError as err:
        return [str(err)]
    wrong_name = (
        []
        if getattr(function, "name", name) == name
        else [f"name is `{function.name}`, its entry point is `{name}`"]
    )
    return wrong_name + broken_duties(function)


def broken_duties(function: type[Acquisition]) -> list[str]:
    """The same for the class itself, before an entry point names it."""
    problems = list(_attempt("declaration", _declaration, function))
    if problems:
        return problems
    problems = list(_attempt("Params", _params, function))
    if problems:
        return problems
    behaviour = _scores if function.family == Family.SINGLE else _selections
    return list(_attempt(behaviour.__name__.strip("_"), behaviour, function))


def _attempt(
    what: str, check: Callable[[type[Acquisition]], Iterator[str]], function: type[Acquisition]
) -> Iterator[str]:
    try:
        yield from check(function)
    except Exception as err:  # noqa: BLE001 - a plugin may raise anything
        yield f"{what}: raised {type(err).__name__}: {err}"


def _declaration(function: object) -> Iterator[str]:
    if not isinstance(getattr(function, "name", None), str):
        yield "name must be a string"
    version = getattr(function, "version", None)
    if type(version) is not int or version < 1:
        yield "version must be an integer from 1"
    parameters = getattr(function, "Params", None)
    if not (isinstance(parameters, type) and issubclass(parameters, BaseModel)):
        yield "Params must be a pydantic model class"
    family = getattr(function, "family", None)
    if not isinstance(family, Family):
        yield f"family must be a Family, got {family!r}"
        return
    needs = getattr(function, "needs", None)
    if not isinstance(needs, frozenset) or not all(isinstance(need, Need) for need in needs):
        yield f"needs must be a frozenset of Need, got {needs!r}"
    elif not needs <= _MAY_NEED[family]:
        extra = ", ".join(sorted(need.value for need in needs - _MAY_NEED[family]))
        yield f"needs: family {family.value} is never given {extra}"
    duty = "score" if family is Family.SINGLE else "select"
    if not callable(getattr(function, duty, None)):
        yield f"family {family.value} must have the method {duty}"
    reduces = callable(getattr(function, "reduce", None))
    if family is Family.BATCH and needs and needs - {Need.FEATURES} and not reduces:
        yield "family batch must have the method reduce to need more than features"


def _params(function: type[Acquisition]) -> Iterator[str]:
    params = function.Params()
    if function.Params.model_validate(params.model_dump(mode="json")) != params:
        yield "Params must survive a round trip through JSON"
    try:
        function.Params.model_validate({"no_such_parameter": 1})
    except ValidationError:
        pass
    else:
        yield 'Params must refuse unknown keys (model_config with extra="forbid")'
    if Need.PASSES in function.needs and not isinstance(getattr(params, "passes", None), int):
        yield "Params must keep the integer `passes` (subclass PassesParams)"


def _scores(function: type[Acquisition]) -> Iterator[str]:
    params = function.Params()
    acquisition: Any = function(params)  # has `score`, says `_declaration`
    passes = getattr(params, "passes", 2)

    def score(images: slice) -> NDArray[np.float64]:
        return _plain(acquisition.score(SyntheticOutputs(function.needs, passes, images)))

    with _random_states() as moved:
        together = score(slice(None))
    yield from moved
    if together.shape != (IMAGES,):
        yield f"score must have shape ({IMAGES},), one number an image, got {together.shape}"
        return
    if not np.isfinite(together).all():
        yield f"score must be finite, got {together.tolist()}"
        return
    if not np.array_equal(together, score(slice(None))):
        yield "score must be the same for the same outputs"
    alone = np.concatenate([score(slice(image, image + 1)) for image in range(IMAGES)])
    if alone.shape != together.shape or not np.allclose(alone, together, rtol=1e-4, atol=1e-5):
        yield f"score must not depend on the other images: {alone.tolist()}, {together.tolist()}"


def _selections(function: type[Acquisition]) -> Iterator[str]:
    params = function.Params()
    acquisition: Any = function(params)  # has `select`, says `_declaration`
    passes = getattr(params, "passes", 2)
    reduce = getattr(acquisition, "reduce", None)
    if reduce is not None:
        broken = list(_reduction(reduce, function.needs, passes))
        yield from broken
        if broken:
            return

    def made() -> Candidates:
        return synthetic_candidates(function.needs, reduce=reduce, passes=passes)

    candidates = made()
    yield from _choices(acquisition, candidates)
    if not _equal(candidates, made()):
        yield "select must leave the candidates as they are; copy what you change"
    if function.family is Family.BATCH:
        yield from _order(acquisition, made())


def _choices(acquisition: BatchAcquisition, candidates: Candidates) -> Iterator[str]:
    """A choice is n different candidates, the same for the same seed."""
    for n in (0, 1, len(candidates.ids) // 2, len(candidates.ids)):
        with _random_states() as moved:
            ids = list(acquisition.select(candidates, n, np.random.default_rng(n)))
        yield from moved
        if len(ids) != n:
            yield f"select must return n={n} ids, got {len(ids)}"
        if len(set(ids)) != len(ids):
            yield f"select must not return an id twice (n={n})"
        if foreign := sorted(set(ids) - set(candidates.ids)):
            yield f"select must choose among the candidates (n={n}), got {foreign[0]!r}"
        if ids != list(acquisition.select(candidates, n, np.random.default_rng(n))):
            yield f"select must be the same for the same rng seed (n={n})"


def _order(acquisition: BatchAcquisition, candidates: Candidates) -> Iterator[str]:
    """A choice without chance must not depend on the order of the candidates."""
    n = len(candidates.ids) // 2
    first, second = (
        set(acquisition.select(candidates, n, np.random.default_rng(seed))) for seed in (0, 1)
    )
    if first == second:
        turned = set(acquisition.select(_reversed(candidates), n, np.random.default_rng(0)))
        if turned != first:
            yield "select must not depend on the order of the candidates; break ties by id"


def _reversed(candidates: Candidates) -> Candidates:
    backwards = slice(None, None, -1)
    features, reduced = candidates.features_ND, candidates.reduced_N
    return replace(
        candidates,
        ids=candidates.ids[backwards],
        sequences=candidates.sequences[backwards],
        positions=candidates.positions[backwards],
        features_ND=None if features is None else features.flip(0),
        reduced_N=None if reduced is None else reduced.flip(0),
    )


def _equal(one: Candidates, other: Candidates) -> bool:
    """Whether two candidates hold the same values."""
    for name in (field.name for field in fields(one)):
        here, there = getattr(one, name), getattr(other, name)
        tensors = hasattr(here, "equal") and hasattr(there, "equal")
        same = here.equal(there) if tensors else here is there or here == there
        if not same:
            return False
    return True


def _reduction(
    reduce: Callable[[SyntheticOutputs], Tensor], needs: frozenset[Need], passes: int
) -> Iterator[str]:
    with _random_states() as moved:
        together = _plain(reduce(SyntheticOutputs(needs, passes)))
    yield from moved
    if together.ndim < 1 or len(together) != IMAGES:
        yield f"reduce must keep one row an image, ({IMAGES}, ...), got {together.shape}"
        return
    if not np.isfinite(together).all():
        yield "reduce must keep finite numbers"
    images = [slice(image, image + 1) for image in range(IMAGES)]
    alone = [_plain(reduce(SyntheticOutputs(needs, passes, image))) for image in images]
    if not np.allclose(np.concatenate(alone), together, rtol=1e-4, atol=1e-5):
        yield "reduce must not depend on the other images"


def _plain(scores: Tensor) -> NDArray[np.float64]:
    return np.asarray(scores.detach().cpu().double().numpy())


@contextmanager
def _random_states() -> Iterator[list[str]]:
    """Collects a complaint for each global random state that the block moves."""
    import torch

    def states() -> dict[str, object]:
        numpy_state = dict(np.random.get_state(legacy=False))["state"]  # noqa: NPY002 - only watched
        return {
            "numpy.random": (numpy_state["key"].tobytes(), numpy_state["pos"]),
            "random": random.getstate(),
            "torch": torch.get_rng_state().numpy().tobytes(),
        }

    moved: list[str] = []
    before = states()
    yield moved
    moved += [
        f"the global random state of {name} was touched; use the rng that is passed"
        for name, state in states().items()
        if state != before[name]
    ]
