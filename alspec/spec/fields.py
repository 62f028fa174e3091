"""What spec models are made of: the frozen base, names, sizes, numbers and paths."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetCoreSchemaHandler
from pydantic_core import PydanticCustomError, core_schema

_BARE_VARIABLE = re.compile(r"(?:^|(?<=/))\$(?P<name>[A-Z_][A-Z0-9_]*)(?=/|$)")
"""`$HOME` as a shell takes it, at the start of a path or between its parts."""
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^${}]*))?\}")

_SECRET = frozenset(
    {"TOKEN", "SECRET", "PASSWORD", "PASSWD", "PASS", "PASSPHRASE", "CREDENTIAL", "CREDENTIALS",
     "KEY", "APIKEY", "AUTH", "COOKIE", "DSN", "PAT"}
)  # fmt: skip
"""Parts of the names of variables whose values are shown to nobody."""


def _make_strict(schema: object) -> None:
    """Numbers and booleans are never made from something else; lists may still become tuples."""
    if isinstance(schema, dict):
        if schema.get("type") in ("int", "float", "bool"):
            schema.setdefault("strict", True)
        schema = list(schema.values())
    if isinstance(schema, list):
        for inner in schema:
            _make_strict(inner)


class Frozen(BaseModel):
    """A spec model: immutable, every unknown key is an error, and `"8"` is no number."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True
    )

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: object, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        schema = handler(source)
        _make_strict(handler.resolve_ref_schema(schema))
        return schema


NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._+-]*$"
Name: TypeAlias = Annotated[str, Field(pattern=NAME_PATTERN, min_length=1, max_length=80)]

Pixels: TypeAlias = Annotated[int, Field(ge=8, le=16384)]
Size: TypeAlias = tuple[Pixels, Pixels]
"""Height, width in pixels."""

Positive: TypeAlias = Annotated[float, Field(gt=0)]
NotNegative: TypeAlias = Annotated[float, Field(ge=0)]


class Template:
    """Text that holds `${…}`: no string, so that every field but a path refuses it."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text

    def expand(self, environment: Mapping[str, str] | None = None) -> str:
        """The text with each `${VAR}` and `${VAR:-default}` replaced; the default also for empty.

        Args:
            environment: where variables are looked up; None is the process's own.

        Raises:
            PydanticCustomError: a variable is not set and has no default, or `${` is malformed.
        """
        known = os.environ if environment is None else environment

        def value(found: re.Match[str]) -> str:
            name, default = found.groups()
            if _SECRET & set(name.upper().split("_")):
                raise PydanticCustomError(
                    "variable",
                    "`{name}` looks like the name of a secret, which would appear in messages and "
                    "in spec.yaml; name a folder's variable otherwise",
                    {"name": name},
                )
            if default is None and name not in known:
                raise PydanticCustomError(
                    "variable",
                    "the environment variable `{name}` is not set. Set it (`export {name}=...`) "
                    "or give a default: `${{name}:-some/path}`",
                    {"name": name},
                )
            return known.get(name) or default or ""

        if "${" in _VARIABLE.sub("", self.text):
            raise PydanticCustomError(
                "variable",
                "`{text}` is not a path that can be read: write `${VAR}` or `${VAR:-default}`",
                {"text": self.text},
            )
        return _VARIABLE.sub(value, self.text)


def variable_names(text: str) -> list[str]:
    """The variables that a template names, in its order."""
    return [found[1] for found in _VARIABLE.finditer(text)]


def _expanded(value: object) -> object:
    text = value.expand() if isinstance(value, Template) else value
    if not isinstance(text, str):
        return text
    if not text:
        why = f"`{value}` is empty" if isinstance(value, Template) else "the path is empty"
        raise PydanticCustomError("path", "{why}; a path is needed here", {"why": why})
    if "\0" in text:
        raise PydanticCustomError("path", "a path cannot hold a null character", {})
    if _BARE_VARIABLE.search(text):
        raise PydanticCustomError(
            "path",
            "`{text}`: a variable is written with braces here. Write `{meant}`",
            {"text": text, "meant": _BARE_VARIABLE.sub(r"${\g<name>}", text)},
        )
    if text.startswith("~"):
        try:
            return str(Path(text).expanduser())
        except RuntimeError:
            raise PydanticCustomError(
                "path", "`{text}`: no home directory is known for it", {"text": text}
            ) from None
    return text


def _none_if_empty(value: object) -> object:
    text = value.expand() if isinstance(value, Template) else value
    return None if text == "" else text


PathText: TypeAlias = Annotated[
    str, BeforeValidator(_expanded), Field(json_schema_extra={"format": "path"})
]
"""A path as the user writes it; the only type that expands `${VAR}`, `${VAR:-default}` and `~`."""

OptionalPath: TypeAlias = Annotated[PathText | None, BeforeValidator(_none_if_empty)]
"""A path, or None; empty text, as from `${VAR:-}`, means None."""
