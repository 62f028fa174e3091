"""Facts of a plugin before it is used: its package, what it is, what it takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from alspec import plugins
from alspec.errors import PluginError
from alspec.spec.dataset import DatasetSpec

_MODELS = {"alspec.acquisition": "Params", "alspec.datasets": "Spec"}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A key that a plugin takes in a spec.

    Attributes:
        name: the key.
        type: of its values, as `whole number`.
        default: as YAML writes it; None for a key that must be given.
        about: one line.
    """

    name: str
    type: str
    default: object
    required: bool
    about: str

    def __str__(self) -> str:
        return f"{self.name}: {self.type}" if self.required else f"{self.name}={self.default}"


@dataclass(frozen=True, slots=True)
class Facts:
    """A plugin as `alspec plugins list` shows it; one that is broken says so in `about`."""

    name: str
    kind: str
    package: str
    parameters: tuple[Parameter, ...]
    about: str

    def to_json(self) -> dict[str, object]:
        """As plain data."""
        return {**asdict(self), "parameters": [asdict(each) for each in self.parameters]}


def facts_of(groups: Sequence[str]) -> Iterator[Facts]:
    """Every plugin of some groups, clashes and broken ones included."""
    for plugin in (plugin for group in groups for plugin in plugins.declared(group)):
        parameters: tuple[Parameter, ...] = ()
        try:
            loaded = plugins.load(plugin.group, plugin.name)
            lines = (loaded.__doc__ or "").strip().splitlines()
            about = lines[0] if lines else ""
            parameters = tuple(_parameters(getattr(loaded, _MODELS[plugin.group], None)))
        except PluginError as err:
            about = f"broken: {err}"
        yield Facts(plugin.name, plugins.GROUPS[plugin.group], plugin.package, parameters, about)


def _parameters(model: object) -> Iterator[Parameter]:
    """A model's own fields, without those of every dataset."""
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return
    common = DatasetSpec.model_fields if issubclass(model, DatasetSpec) else {}
    for name, field in model.model_fields.items():
        if name in common and (not field.is_required() or name in ("name", "kind")):
            continue
        default = (
            None if field.is_required() else _plain(field.get_default(call_default_factory=True))
        )
        yield Parameter(
            name, _type(field.annotation), default, field.is_required(), field.description or ""
        )


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return list(value) if isinstance(value, tuple) else value


_WORDS = {"int": "whole number", "float": "number", "str": "text", "bool": "true or false"}


def _type(annotation: object) -> str:
    """An annotation in words."""
    choices = [part for part in get_args(annotation) if part is not type(None)]
    if annotation in (int, float, str, bool):
        return _WORDS[annotation.__name__]
    if get_origin(annotation) is tuple or annotation is tuple:
        return "list"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "mapping"
    if all(isinstance(choice, (str, int)) for choice in choices) and choices:
        return " or ".join(map(str, choices))
    return (
        " or ".join(
            dict.fromkeys(_type(choice) for choice in choices if not isinstance(choice, FieldInfo))
        )
        or "value"
    )
