"""Which keys a mapping of the spec may have, plugins' own included."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from alspec.spec.dataset import DatasetSpec
from alspec.spec.method import METHOD_KEYS, Method
from alspec.spec.model import Study
from alspec.spec.project import Project
from alspec.spec.source import Loc, Source
from alspec.spec.validation import plugin_model


def is_project(data: object) -> bool:
    """Whether a spec is a labelling project's: it has the key `project`, and no `study`."""
    return isinstance(data, Mapping) and "project" in data and "study" not in data


def spec_model(source: Source) -> type[Study] | type[Project]:
    """What the whole spec is."""
    return Project if is_project(source.data) else Study


def keys_at(loc: Loc, source: Source) -> dict[str, str]:
    """The keys that the mapping at `loc` may have, each with its description."""
    annotation: object = spec_model(source)
    for depth, part in enumerate(loc):
        if isinstance(part, str):
            field = _fields(annotation, source.value(loc[:depth])).get(part)
            annotation = field.annotation if field else None
    fields = _fields(annotation, source.value(loc))
    return {name: field.description or "" for name, field in fields.items()}


def sections(source: Source) -> Iterator[Loc]:
    """The mappings right below the top: those of single keys, and the items of given lists."""
    for name, field in spec_model(source).model_fields.items():
        given = source.value((name,))
        if isinstance(given, list):
            yield from ((name, i) for i, item in enumerate(given) if isinstance(item, Mapping))
        elif any(field.annotation is model for model in _models(field.annotation)):
            yield (name,)


def _fields(annotation: object, value: object) -> dict[str, FieldInfo]:
    given = value if isinstance(value, Mapping) else {}
    models = list(_models(annotation))
    if DatasetSpec in models:
        models = [_of_plugin("alspec.datasets", given.get("kind"), "Spec", "kind") or DatasetSpec]
    if Method in models:
        own = {key: Method.model_fields[key] for key in METHOD_KEYS}
        params = _of_plugin("alspec.acquisition", given.get("name"), "Params", "name")
        return own | (params.model_fields if params else {})
    named = [model for model in models if _names(model, given.get("kind"))]
    fields: dict[str, FieldInfo] = {}
    for model in named or models:
        fields |= model.model_fields
    return fields


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)


def _names(model: type[BaseModel], kind: object) -> bool:
    field = model.model_fields.get("kind")
    return field is not None and kind in get_args(field.annotation)


def _of_plugin(group: str, name: object, attribute: str, field: str) -> type[BaseModel] | None:
    try:
        return plugin_model(group, name, attribute, field) if isinstance(name, str) else None
    except ValidationError:
        return None
