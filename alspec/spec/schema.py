"""The JSON schema of a spec, for editors: draft-07, with the plugins that are installed here."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from pydantic import BaseModel

from alspec import plugins
from alspec.errors import PluginError
from alspec.spec.dataset import DatasetSpec
from alspec.spec.method import METHOD_KEYS, Method
from alspec.spec.model import Study
from alspec.spec.project import AUTO, KIND, Project

DRAFT = "http://json-schema.org/draft-07/schema#"
IDENTITY = "http://alspec.invalid/spec.schema.json"
"""A name, not an address: nothing is fetched from it (RFC 2606)."""

Schema: TypeAlias = dict[str, Any]
"""A JSON schema, or a part of one."""

_PERCENT_BUDGET = {
    "type": "string",
    "pattern": r"^[0-9]+(\.[0-9]+)?-[0-9]+(\.[0-9]+)?$",
    "description": "initial and step in percent of the pool; five labelled sets",
    "examples": ["10-10", "2-2"],
}
_EXTENDS = {
    "type": "string",
    "description": "another spec file, relative to this one; it gives what this file leaves out",
}


def json_schema() -> Schema:
    """A JSON schema that every valid spec fits, with the names and parameters of all plugins.

    A spec with the key `project` is a labelling project's, any other a study's. A plugin that
    cannot be loaded is known by its name; what it takes is left open.
    """
    definitions: Schema = {}
    study, project = _study(definitions), _project(definitions)
    definitions["Dataset"] = _choice(
        "kind",
        {kind: _dataset(kind, definitions) for kind in plugins.names("alspec.datasets")},
        DatasetSpec.model_fields["kind"].description,
    )
    definitions["Method"] = _method(definitions)
    for spec in (study, project):
        spec["properties"]["extends"] = _EXTENDS
        spec["anyOf"] = [{"required": spec.pop("required")}, {"required": ["extends"]}]
    definitions |= {"Study": study, "Project": project}
    for name in ("DatasetSpec", "Redundancy"):
        definitions.pop(name, None)
    return {
        "$schema": DRAFT,
        "$id": IDENTITY,
        "type": "object",
        "if": {"required": ["project"]},
        "then": _ref("Project"),
        "else": _ref("Study"),
        "definitions": definitions,
    }


def _study(definitions: Schema) -> Schema:
    """A study: lists of datasets, budgets and methods, each of which has a short form."""
    study = _model(Study, definitions)
    keys = study["properties"]
    keys["datasets"]["items"] = _ref("Dataset")
    keys["methods"]["items"] = _method_or_name()
    _accept_percent_budgets(keys["budgets"])
    keys["ssl"] = {
        "anyOf": [{"type": "boolean"}, {"type": "array", "items": {"type": "boolean"}}],
        **{key: keys["ssl"][key] for key in ("description", "default") if key in keys["ssl"]},
    }
    return study


def _project(definitions: Schema) -> Schema:
    """A labelling project: one dataset of the kind `folder`, one method or `auto`."""
    project = _model(Project, definitions)
    keys = project["properties"]
    about = keys["dataset"]["description"]
    keys["dataset"] = {**_dataset(KIND, definitions), "description": about}
    keys["method"] = {**_method_or_name(AUTO), "description": keys["method"]["description"]}
    return project


def _method_or_name(*others: str) -> Schema:
    names = [*others, *plugins.names("alspec.acquisition")]
    return {"anyOf": [{"type": "string", "enum": names}, _ref("Method")]}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/definitions/{name}"}


def _model(model: type[BaseModel], definitions: Schema, prefix: str = "") -> Schema:
    """A model's schema in draft-07; the models inside it join `definitions` under the prefix."""
    schema = model.model_json_schema(ref_template=f"#/definitions/{prefix}{{model}}")
    for name, inner in schema.pop("$defs", {}).items():
        definitions[prefix + name] = _draft_07(inner, schema)
    plain: Schema = _draft_07(schema, schema)
    plain["description"] = inspect.cleandoc(model.__doc__ or "").split("\n\n")[0]
    return plain


def _draft_07(schema: object, root: Schema, *, names: bool = False) -> Any:
    """Pydantic's 2020-12 as draft-07, without its made-up titles.

    Args:
        schema: any part of a schema.
        root: the whole.
        names: the keys of `schema` are names of a user's, not words of JSON schema.
    """
    if isinstance(schema, list):
        return [_draft_07(part, root) for part in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {
        key: _draft_07(part, root, names=key in ("properties", "$defs") and not names)
        for key, part in schema.items()
        if names or key not in ("title", "discriminator", "default", "examples")
    }
    if names:
        return plain
    plain |= {key: schema[key] for key in ("default", "examples") if key in schema}
    if "prefixItems" in plain:
        plain["items"] = plain.pop("prefixItems")
    if "discriminator" in schema:
        del plain["oneOf"]
        tags = schema["discriminator"]["mapping"].items()
        plain |= _choice("kind", {tag: {"$ref": ref} for tag, ref in tags})
    return plain


def _choice(tag: str, models: Mapping[str, Schema], about: str | None = None) -> Schema:
    """An object whose tag says which model it fits; editors then name the model's own errors."""
    return {
        "type": "object",
        "required": [tag],
        "properties": {
            tag: {"enum": list(models), **({"description": about} if about else {})},
        },
        "allOf": [
            {"if": {"properties": {tag: {"const": name}}, "required": [tag]}, "then": dict(model)}
            for name, model in models.items()
        ],
    }


def _dataset(kind: str, definitions: Schema) -> Schema:
    """What a dataset of a kind takes."""
    model = _of_plugin("alspec.datasets", kind, "Spec")
    if model is None:
        return {"type": "object", "required": ["name", "kind"]}
    name = f"dataset.{kind}"
    schema = _model(model, definitions, f"{name}.")
    _accept_percent_budgets(schema["properties"].get("budgets"))
    definitions[name] = schema
    return _ref(name)


def _method(definitions: Schema) -> Schema:
    """What each acquisition function takes beside its name."""
    own = _model(Method, definitions)["properties"]
    models: dict[str, Schema] = {}
    for method in plugins.names("alspec.acquisition"):
        model = _of_plugin("alspec.acquisition", method, "Params")
        schema: Schema = {"type": "object", "required": ["name"]}
        if model is not None:
            params = _model(model, definitions, f"method.{method}.")
            beside = {key: own[key] for key in METHOD_KEYS}
            schema = {**params, "properties": {**beside, **params.get("properties", {})}}
            schema["required"] = ["name", *params.get("required", ())]
        definitions[f"method.{method}"] = schema
        models[method] = _ref(f"method.{method}")
    return _choice("name", models, Method.model_fields["name"].description)


def _of_plugin(group: str, name: str, attribute: str) -> type[BaseModel] | None:
    """The model a plugin declares; None for a plugin that is broken."""
    try:
        model = getattr(plugins.load(group, name), attribute, None)
    except PluginError:
        return None
    return model if isinstance(model, type) and issubclass(model, BaseModel) else None


def _accept_percent_budgets(schema: Schema | None) -> None:
    """A budget may be written as `10-10` wherever a list of budgets is."""
    for part in _lists_in(schema):
        part["items"] = {"anyOf": [_PERCENT_BUDGET, part["items"]]}


def _lists_in(schema: Schema | None) -> Iterable[Schema]:
    if schema is None:
        return []
    return [part for part in (schema, *schema.get("anyOf", ())) if "items" in part]
