"""Weights from files: tensors alone, loaded name by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from alspec.errors import InputError
from alspec.models.weights_limits import refuse_excess, refuse_excessive_tensors


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a `.safetensors` or `.pth` file; nothing but tensors is ever unpickled.

    Raises:
        InputError: the file is missing, holds anything else, or claims more than it can hold.
    """
    tensors = _loaded(path)
    refuse_excessive_tensors(path, tensors)
    return tensors


def _loaded(path: Path) -> dict[str, Tensor]:
    try:
        refuse_excess(path)
        if path.suffix == ".safetensors":
            tensors: dict[str, Tensor] = load_file(path)
            return tensors
        data = torch.load(path, map_location="cpu", weights_only=True)
    except InputError:
        raise
    except Exception as err:
        raise InputError.at(
            path,
            f"cannot be read as weights, and nothing but tensors is loaded ({_why(err)}). "
            "Save its state dict alone, best as .safetensors",
        ) from err
    if isinstance(data, Mapping) and isinstance(data.get("state_dict"), Mapping):
        data = data["state_dict"]
    if not isinstance(data, Mapping) or not all(isinstance(v, Tensor) for v in data.values()):
        raise InputError.at(path, "holds no state dict (parameter name to tensor)")
    return dict(data)


def _why(err: Exception) -> str:
    """What torch says of a file, without its advice to load it unsafely."""
    refused = re.search(r"[Uu]nsupported (?:global: )?(?:GLOBAL|class|operand) (\S+)", str(err))
    if refused:
        return f"it asks for `{refused.group(1)}`"
    if "weights_only" in str(err).lower() or "weights only" in str(err).lower():
        return f"{type(err).__name__}: it is not a plain archive of tensors"
    return f"{type(err).__name__}: {err}"


def load_weights(module: nn.Module, path: Path, prefixes: tuple[str, ...]) -> None:
    """Load a module's weights by name from a file; spare ones are left out.

    Args:
        module: changed in place.
        path: a file that `read_weights` reads.
        prefixes: taken off each name in this order.

    Raises:
        InputError: the file cannot be read, or a weight is missing or of another shape.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in read_weights(path).items():
        for prefix in prefixes:
            name = name.removeprefix(prefix)
        found[name] = tensor
    expected = module.state_dict()
    counters = {name for name in expected if name.endswith("num_batches_tracked")}
    missing = sorted(expected.keys() - found.keys() - counters)
    misshapen = sorted(
        name for name in expected.keys() & found.keys() if expected[name].shape != found[name].shape
    )
    if missing or misshapen:
        raise InputError.at(
            path,
            f"does not fit {type(module).__name__}: {_first(missing)} missing, "
            f"{_first(misshapen)} of another shape. Give weights of this very model",
        )
    module.load_state_dict({name: found[name] for name in expected if name in found}, strict=False)


def _first(names: list[str], shown: int = 3) -> str:
    more = ", ..." if len(names) > shown else ""
    return f"{len(names)} ({', '.join(names[:shown])}{more})" if names else "none"
