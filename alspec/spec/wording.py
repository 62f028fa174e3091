"""What pydantic found, in people's words, each at its place in the spec."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from alspec.errors import Problem
from alspec.spec.execution import DURATION_PATTERN, WORD_PATTERN
from alspec.spec.fields import NAME_PATTERN, Template
from alspec.spec.hints import as_list, better_value, meant_key
from alspec.spec.keys import keys_at, spec_model
from alspec.spec.source import Loc, Source
from alspec.spec.validation import nearest

NO_TEMPLATE = "`${...}` is allowed in paths only; write the value itself"

_PATTERNS = {
    NAME_PATTERN: "letters, digits and . _ + -, the first a letter or digit",
    DURATION_PATTERN: "a time as 90s, 15m or 2h",
    WORD_PATTERN: "text without spaces",
}
_QUOTES = "; put text like this in quotes"

_WORDS: Mapping[str, str] = {
    "int_type": "expected a whole number, got {got}",
    "int_parsing": "expected a whole number, got {got}",
    "int_from_float": "expected a whole number, got {got}",
    "float_type": "expected a number, got {got}",
    "float_parsing": "expected a number, got {got}",
    "finite_number": "expected a finite number, got {got}",
    "bool_type": "expected true or false, got {got}",
    "bool_parsing": "expected true or false, got {got}",
    "string_type": "expected text, got {got}{quotes}",
    "greater_than": "expected a number greater than {gt:g}, got {got}",
    "greater_than_equal": "expected a number of at least {ge:g}, got {got}",
    "less_than": "expected a number less than {lt:g}, got {got}",
    "less_than_equal": "expected a number of at most {le:g}, got {got}",
    "string_pattern_mismatch": "expected {pattern}, got {got}",
    "string_too_short": "expected at least {min_length} characters, got {got}",
    "string_too_long": "expected at most {max_length} characters, got {got}",
    "too_short": "expected at least {min_length} in the list, got {actual_length}",
    "too_long": "expected at most {max_length} in the list, got {actual_length}",
    "dict_type": "expected a mapping of keys to values, got {got}",
    "model_type": "expected a mapping of keys to values, got {got}",
    "model_attributes_type": "expected a mapping of keys to values, got {got}",
    "value_error": "{error}",
    "assertion_error": "{error}",
}


def in_words(err: ValidationError, source: Source) -> list[Problem]:
    """The problems of a spec, in the order of its lines; overrides come last."""
    errors = [error for error in err.errors(include_url=False) if not _only_follows(error)]
    unknown = [e["loc"] for e in errors if e["type"] == "extra_forbidden"]
    renamed = {(*loc[:-1], meant_key(loc, source) or "") for loc in unknown}
    problems = [
        source.problem(
            e["loc"],
            _sentence(e, source),
            at_key=e["type"] == "extra_forbidden",
            against=_against(e),
        )
        for e in errors
        if not (e["type"] == "missing" and e["loc"] in renamed)
    ]
    return sorted(problems, key=lambda problem: _line_column(problem.where))


def _only_follows(error: ErrorDetails) -> bool:
    """A list is too short for pydantic also where its items are wrong."""
    return error["type"] == "too_short" and len(error["input"]) >= error["ctx"]["min_length"]


def _line_column(where: str) -> tuple[bool, int, int]:
    found = re.search(r":(\d+):(\d+)\Z", where)
    return (False, int(found[1]), int(found[2])) if found else (True, 0, 0)


def _sentence(error: ErrorDetails, source: Source) -> str:
    loc, kind = error["loc"], error["type"]
    place = ".".join(map(str, source.known(loc)))
    if kind == "missing":
        what = _missing(error, source)
    elif kind == "extra_forbidden":
        what = _unknown_key(error, source)
    else:
        what = _wrong_value(error)
    return f"{place}: {what}" if place else what


def _missing(error: ErrorDetails, source: Source) -> str:
    loc = error["loc"]
    if isinstance(loc[-1], int):
        return f"the list is too short; its item {loc[-1] + 1} is missing"
    about = keys_at(loc[:-1], source).get(loc[-1], "")
    return f"the key `{loc[-1]}` is missing" + (f" ({about})" if about else "")


def _unknown_key(error: ErrorDetails, source: Source) -> str:
    meant = meant_key(error["loc"], source)
    if meant:
        top = len(error["loc"]) > 1 and meant in spec_model(source).model_fields
        moved = top and meant not in keys_at(error["loc"][:-1], source)
        return f"unknown key. Did you mean `{meant}`{', at the top of the spec' * moved}?"
    return f"unknown key. Known: {', '.join(keys_at(error['loc'][:-1], source)) or 'none'}"


def _against(error: ErrorDetails) -> tuple[Loc, ...]:
    """The first of two that are the same."""
    first = error.get("ctx", {}).get("first")
    return ((*error["loc"][:-1], int(first)),) if first is not None else ()


def _wrong_value(error: ErrorDetails) -> str:
    kind, value, context = error["type"], error["input"], dict(error.get("ctx", {}))
    if isinstance(value, Template) and kind not in ("variable", "path"):
        return NO_TEMPLATE
    if kind in ("literal_error", "enum"):
        return _not_among(value, re.findall(r"'([^']*)'", str(context["expected"])))
    if kind in ("tuple_type", "list_type"):
        return as_list(str(error["loc"][-1]), value, shown(value))
    if kind not in _WORDS:
        return error["msg"].replace("Input should be", "expected", 1)
    if "pattern" in context:
        context["pattern"] = _PATTERNS.get(context["pattern"], f"text like {context['pattern']}")
    is_plain = isinstance(value, (bool, int, float)) or value is None
    text = _WORDS[kind].format(got=shown(value), quotes=_QUOTES if is_plain else "", **context)
    better = better_value(str(error["loc"][-1]), kind, value)
    quoted = " without quotes" if better == value else ""
    return f"{text}. Write `{better}`{quoted}" if better else text


def _not_among(value: object, known: list[str]) -> str:
    if isinstance(value, str) and value.endswith(".py"):
        return f"a config file is named by a key. Write `{{config: {value}}}`"
    near = nearest(value, known) if isinstance(value, str) else None
    hint = f"Did you mean `{near}`? " if near else ""
    return f"{shown(value)} is not known. {hint}Known: {', '.join(known)}"


def shown(value: object) -> str:
    """A value as a sentence shows it."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list" if value else "an empty list"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = ascii(value) if isinstance(value, str) and not value.isprintable() else str(value)
    text = text if len(text) <= 60 else text[:59] + "…"
    return f"the text `{text}`" if isinstance(value, str) else text
