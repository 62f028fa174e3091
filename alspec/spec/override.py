"""`--set training.epochs=1`: values that replace those of the file before validation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from alspec.errors import Problem, SpecError
from alspec.spec.source import Loc, Place, Source
from alspec.spec.yaml_text import parse_yaml


def apply_overrides(source: Source, overrides: Sequence[str]) -> list[Problem]:
    """Set values of the spec, in order; `*` means every item of a list.

    Args:
        source: the spec, changed in place.
        overrides: `key.key=value` each, the value in YAML.

    Returns:
        A problem for each override that could not be applied; the others are applied.
    """
    problems: list[Problem] = []
    for override in overrides:
        try:
            _apply(source, override)
        except SpecError as err:
            problems += [Problem(f"--set {override}", problem.what) for problem in err.problems]
    return problems


def _apply(source: Source, override: str) -> None:
    path, equals, text = override.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys):
        raise _refused("write `--set key.key=value`, as in `--set training.epochs=1`")
    for loc in list(_locs(source, keys)):
        value = parse_yaml(text, "value")
        _set(source, loc, value.data, override)
        for inner in value.positions:
            source.positions[(*loc, *inner)] = Place(override=override)


def _locs(source: Source, keys: Sequence[str], start: Loc = ()) -> Iterator[Loc]:
    if not keys:
        yield start
        return
    here, (key, *rest) = source.value(start), keys
    if isinstance(here, list):
        for index in _indices(here, key, start):
            yield from _locs(source, rest, (*start, index))
    elif here is None or isinstance(here, dict):
        yield from _locs(source, rest, (*start, key))
    else:
        name = ".".join(map(str, start))
        raise _refused(
            f"`{name}` is `{here}`, without keys of its own; set it whole: `{name}={{...}}`"
        )


def _indices(items: list[object], key: str, start: Loc) -> Sequence[int]:
    if key == "*":
        return range(len(items))
    if key.isascii() and key.isdigit() and len(key) < 9 and int(key) < len(items):
        return [int(key)]
    name, last = ".".join(map(str, start)), len(items) - 1
    raise _refused(f"`{name}` is a list; name an item, 0 to {last}, or `*` for all, not `{key}`")


def _set(source: Source, loc: Loc, value: object, override: str) -> None:
    here = source.data
    for depth, part in enumerate(loc[:-1], start=1):
        if isinstance(here, dict) and here.get(part) is None:
            here[part] = {}
            source.positions[loc[:depth]] = Place(override=override)
        here = source.value(loc[:depth])
    for old in [place for place in source.positions if place[: len(loc)] == loc]:
        del source.positions[old]
    last = loc[-1]
    if isinstance(here, list):
        here[int(last)] = value
    elif isinstance(here, dict):
        here[last] = value


def _refused(what: str) -> SpecError:
    return SpecError([Problem("--set", what)])
