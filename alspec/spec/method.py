"""The acquisition functions of a study, with their parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, TypeAlias

from pydantic import BeforeValidator, Field, ValidationError

from alspec.spec.fields import Frozen, Name
from alspec.spec.validation import plugin_model, tag_missing, together, validate_plugin

METHOD_KEYS = ("name", "label", "candidates")
"""What any method may have in a spec; the function's own parameters are beside them."""


class Candidates(Frozen):
    """Which pool images may be acquired: every n-th frame of each sequence."""

    every: int = Field(ge=1, description="n")


class Method(Frozen):
    """An acquisition function by its plugin name, with its parameters resolved to plain data."""

    name: str = Field(description="an acquisition function; `alspec plugins list` shows them")
    label: Name = Field(description="how tables call it; the name where nothing is given")
    candidates: Candidates | None = Field(
        default=None, description="the images it may choose from, as {every: 5}; none: all"
    )
    params: dict[str, object] = Field(default_factory=dict)


def method_from_yaml(value: object) -> object:
    """`entropy` or `{name: bald, passes: 20}`: parameters are beside the name in the spec."""
    if isinstance(value, str):
        value = {"name": value}
    return method_of(value) if isinstance(value, Mapping) else value


def method_of(value: Mapping[str, object]) -> Method:
    """The method of a mapping with its `name`, label and parameters.

    Raises:
        ValidationError: a key or a value is wrong, or there is no such method.
    """
    own = {key: given for key, given in value.items() if key in METHOD_KEYS}
    if "name" not in own:
        raise tag_missing("name", value, METHOD_KEYS)
    if not isinstance(own["name"], str):
        return Method.model_validate({**own, "label": "unnamed"})
    own.setdefault("label", own["name"])
    params = {key: given for key, given in value.items() if key not in METHOD_KEYS}
    if isinstance(dumped := params.get("params"), Mapping):  # of a `Method` that was dumped
        del params["params"]
        params |= dumped
    errors: list[ValidationError] = []
    try:
        model = plugin_model("alspec.acquisition", own["name"], "Params", "name")
        own["params"] = validate_plugin(model, params, "name").model_dump(mode="json")
    except ValidationError as err:
        errors.append(err)
    try:
        method = Method.model_validate(own)
    except ValidationError as err:
        errors.append(err)
    if errors:
        raise together(errors)
    return method


AnyMethod: TypeAlias = Annotated[Method, BeforeValidator(method_from_yaml)]
