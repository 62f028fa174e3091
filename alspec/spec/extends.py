"""`extends: base.yaml`: a spec that says only what differs from another one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pydantic_core import PydanticCustomError

from alspec.errors import SpecError
from alspec.spec.fields import Template
from alspec.spec.source import Loc, Place, Source, Text
from alspec.spec.yaml_text import read_yaml

KEY = "extends"
_TAGS = ("kind", "name")
_NAMES = ("study", "project")


def with_bases(source: Source, path: Path) -> Source:
    """The spec with what it extends below it: mappings are merged key by key, all else replaced.

    A mapping whose `kind` or `name` differs from the base's replaces it whole. Every value keeps
    the place where it was written. The extending spec names its own study: two studies of one name
    would share a results folder.

    Args:
        source: what was read from the file.
        path: the file; the base's path starts in its folder.

    Raises:
        SpecError: the base is no spec that can be read, or leads back to this one, or the spec
            has no name of its own.
    """
    return _merged(source, path, (path.resolve(),))


def _merged(source: Source, path: Path, chain: tuple[Path, ...]) -> Source:
    if not isinstance(source.data, dict) or KEY not in source.data:
        return source
    base_path = _base_of(source.data[KEY], source, path)
    if base_path.resolve() in chain:
        names = " -> ".join(each.name for each in (*chain, base_path))
        raise SpecError([source.problem((KEY,), f"a spec cannot extend itself: {names}")])
    if not any(name in source.data for name in _NAMES):
        what = "a spec that extends another needs a name of its own: add `study: some_name`"
        raise SpecError([source.problem((KEY,), what)])
    if not base_path.is_file():
        raise SpecError([source.problem((KEY,), f"there is no file {base_path}")])
    base = _merged(read_yaml(base_path), base_path, (*chain, base_path.resolve()))
    if not isinstance(base.data, dict):
        raise SpecError([source.problem((KEY,), f"{base_path} holds no spec")])
    own = {name for name in _NAMES if name in source.data}
    for name in (*_NAMES, KEY):
        if name == KEY or (own and name not in own):
            base.data.pop(name, None)
            _forget_places(base, (name,))
    del source.data[KEY]
    _forget_places(source, (KEY,))
    _take(source, base, source.data, base.data)
    return source


def _base_of(value: object, source: Source, path: Path) -> Path:
    try:
        text = value.expand() if isinstance(value, Template) else value
    except PydanticCustomError as err:
        raise SpecError([source.problem((KEY,), err.message())]) from None
    if not isinstance(text, str) or not text:
        raise SpecError([source.problem((KEY,), "expected the file of another spec")])
    return path.parent / Path(text).expanduser()


def _forget_places(source: Source, loc: Loc) -> None:
    for place in [known for known in source.positions if known[: len(loc)] == loc]:
        del source.positions[place]


def _take(
    source: Source,
    base: Source,
    here: dict[str, object],
    there: Mapping[str, object],
    loc: Loc = (),
) -> None:
    """Add to the mapping `here` at `loc` what the base's has and it has not."""
    for key, value in there.items():
        at = (*loc, key)
        if key not in here:
            here[key] = value
            _copy_places(source, base, at)
            continue
        own = here[key]
        if isinstance(own, dict) and isinstance(value, dict) and _is_same(own, value):
            _take(source, base, own, value, at)


def _is_same(own: Mapping[str, object], other: Mapping[str, object]) -> bool:
    """Whether one mapping may extend the other: what identifies their kinds is equal."""
    return all(own.get(tag, other.get(tag)) == other.get(tag) for tag in _TAGS)


def _copy_places(source: Source, base: Source, loc: Loc) -> None:
    text = Text(base.name, base.lines)
    for known, place in base.positions.items():
        if known[: len(loc)] == loc:
            source.positions[known] = _of(place, text)


def _of(place: Place, text: Text) -> Place:
    return replace(place, text=place.text or text)
