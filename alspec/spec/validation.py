"""Validation that reports everything at its own place: kinds, plugins, repeats, several models."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from typing import TypeVar, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ValidationError
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError
from pydantic_core.core_schema import ErrorType

from alspec import plugins
from alspec.errors import PluginError

Model = TypeVar("Model", bound=BaseModel)
_OF_PYDANTIC = frozenset(get_args(ErrorType))


def of_its_kind(*models: type[BaseModel]) -> BeforeValidator:
    """Validates a mapping with the one model whose `kind` it names.

    A discriminated union does the same, but puts its tags between the keys of an error's place.
    """
    by_kind = {get_args(model.model_fields["kind"].annotation)[0]: model for model in models}

    def validate(value: object) -> object:
        if not isinstance(value, Mapping):
            return value
        if "kind" not in value:
            known = {key for model in models for key in model.model_fields}
            raise tag_missing("kind", value, known)
        model = by_kind.get(value["kind"]) if isinstance(value["kind"], str) else None
        if model is None:
            expected = " or ".join(repr(kind) for kind in by_kind)
            raise failure("literal_error", value["kind"], ("kind",), {"expected": expected})
        return model.model_validate(value)

    return BeforeValidator(validate)


def distinct(what: str, key: Callable[[object], Hashable] = lambda value: value) -> AfterValidator:
    """Refuses a list where two items have the same key, at the place of the second."""

    def check(values: Sequence[object]) -> Sequence[object]:
        seen: dict[Hashable, int] = {}
        errors: list[InitErrorDetails] = []
        for index, value in enumerate(values):
            if key(value) in seen:
                kind = PydanticCustomError(
                    "repeated",
                    "the {what} `{value}` is repeated",
                    {"what": what, "value": str(key(value)), "first": seen[key(value)]},
                )
                errors.append(InitErrorDetails(type=kind, loc=(index,), input=value))
            seen.setdefault(key(value), index)
        if errors:
            raise ValidationError.from_exception_data("repeated", errors)
        return values

    return AfterValidator(check)


def plugin_model(group: str, name: str, attribute: str, field: str) -> type[BaseModel]:
    """The model that a plugin declares for its part of the spec.

    Raises:
        ValidationError: at `field`; the plugin does not exist, cannot be loaded or has no model.
    """
    try:
        model = getattr(plugins.load(group, name), attribute, None)
    except PluginError as err:
        raise failure("plugin", name, (field,), {"why": str(err)}) from None
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        why = f"the {plugins.GROUPS[group]} `{name}` has no pydantic model named `{attribute}`"
        raise failure("plugin", name, (field,), {"why": why})
    return model


def validate_plugin(model: type[Model], value: object, field: str) -> Model:
    """Validate with a plugin's model, whose code may fail in any way.

    Raises:
        ValidationError: the value is wrong, or, at `field`, the plugin's own validation broke.
    """
    try:
        return model.model_validate(value)
    except ValidationError:
        raise
    except Exception as err:
        why = f"{model.__module__}.{model.__qualname__} broke: {type(err).__name__}: {err}"
        raise failure("plugin", value, (field,), {"why": why}) from err


def tag_missing(tag: str, value: Mapping[str, object], known: Collection[str]) -> ValidationError:
    """The key that says which model to use is missing; a misspelt one is reported beside it."""
    typos = [key for key in value if key not in known and (key == "type" or nearest(key, [tag]))]
    extra = [failure("extra_forbidden", value[key], (key,)) for key in typos]
    return together([failure("missing", value, (tag,)), *extra])


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word nearest to a typo or a part, or None when none is near."""
    folded = {name.lower().replace("-", "_"): name for name in known}
    word = word.lower().replace("-", "_")
    near = difflib.get_close_matches(word, folded, n=1, cutoff=0.5)
    longer = [name for name in folded if len(word) > 2 and word in name]
    if near:
        return folded[near[0]]
    if len(longer) > 1:  # `wrn38` is rather `deeplabv3plus_wrn38` than `deeplabv3plus_wrn38_dense`
        longer = [name for name in longer if name.endswith(word)]
    return folded[longer[0]] if len(longer) == 1 else None


def failure(
    kind: str, value: object, loc: tuple[str | int, ...], context: dict[str, object] | None = None
) -> ValidationError:
    """One error at a place; a kind that is not pydantic's own says `why` in its context."""
    error = ErrorDetails(type=kind, loc=loc, input=value, msg="")
    if context:
        error["ctx"] = context
        error["msg"] = str(context.get("why", ""))
    return ValidationError.from_exception_data(kind, [_again(error)])


def together(errors: Sequence[ValidationError]) -> ValidationError:
    """What several models found, as one error."""
    found = [_again(error) for err in errors for error in err.errors(include_url=False)]
    return ValidationError.from_exception_data("together", found)


def _again(error: ErrorDetails) -> InitErrorDetails:
    kind = error["type"]
    if kind not in _OF_PYDANTIC:
        own = PydanticCustomError(kind, "{why}", {"why": error["msg"]})
        return InitErrorDetails(type=own, loc=error["loc"], input=error["input"])
    return InitErrorDetails(
        type=kind, loc=error["loc"], input=error["input"], ctx=error.get("ctx", {})
    )
