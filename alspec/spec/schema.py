"""The JSON schema of a study spec, for editors."""

from __future__ import annotations

from typing import Any

from alspec.spec.model import Study


def json_schema() -> dict[str, Any]:
    """A JSON schema that every valid spec fits; what plugins add to it is left open."""
    schema = Study.model_json_schema()
    definitions, keys = schema["$defs"], schema["properties"]
    definitions["DatasetSpec"]["additionalProperties"] = True

    method = definitions["Method"]
    del method["properties"]["params"]
    method.update(required=["name"], additionalProperties=True)
    keys["methods"]["items"] = {"anyOf": [{"type": "string"}, keys["methods"]["items"]]}

    percent = {"type": "string", "pattern": r"^[0-9.]+-[0-9.]+$", "examples": ["10-10"]}
    keys["budgets"]["items"] = {"anyOf": [percent, keys["budgets"]["items"]]}
    keys["ssl"] = {"anyOf": [keys["ssl"]["items"], keys["ssl"]], "default": keys["ssl"]["default"]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
