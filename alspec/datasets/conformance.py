"""The contract of a dataset kind as a check of what it declares: `check_dataset_kind("toy")`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from alspec import plugins
from alspec.errors import PluginError
from alspec.spec.dataset import DatasetSpec

_DUTIES = ("frames", "fingerprint", "read_image", "read_mask", "check")


def check_dataset_kind(name: str) -> list[str]:
    """What is wrong with what a dataset kind declares; its files are for `alspec datasets check`.

    Args:
        name: its name on the entry point `alspec.datasets`.

    Returns:
        A sentence for each broken duty; empty when the kind keeps the contract.
    """
    try:
        return list(_broken_duties(plugins.load("alspec.datasets", name), name))
    except PluginError as err:
        return [str(err)]
    except Exception as err:  # noqa: BLE001 - a plugin may raise anything
        return [f"declaration: raised {type(err).__name__}: {err}"]


def _broken_duties(kind: object, name: str) -> Iterator[str]:
    if getattr(kind, "kind", None) != name:
        yield f"kind is `{getattr(kind, 'kind', None)}`, its entry point is `{name}`"
    spec = getattr(kind, "Spec", None)
    if not (isinstance(spec, type) and issubclass(spec, DatasetSpec)):
        yield "Spec must be a subclass of alspec.spec.dataset.DatasetSpec"
    else:
        if name not in get_args(spec.model_fields["kind"].annotation):
            yield f'Spec.kind must be Literal["{name}"]'
        if spec.model_config.get("extra") != "forbid":
            yield 'Spec must refuse unknown keys (model_config with extra="forbid")'
        spec.model_json_schema()  # editors read it
    for duty in _DUTIES:
        if not callable(getattr(kind, duty, None)):
            yield f"a dataset must have the method {duty}"
    if not hasattr(kind, "classes"):
        yield "a dataset must have the property classes"
