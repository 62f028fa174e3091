"""Reads weights from files: tensors alone, loaded name by name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from alspec.errors import InputError
from alspec.models.nets.backbone_layouts import Layout, layout_of
from alspec.models.nets.weights_limits import refuse_excess, refuse_excessive_tensors


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


@dataclass(frozen=True, slots=True)
class WeightsMatch:
    """What was read from a file of weights.

    Attributes:
        layout: whose names the file uses; empty where they are the module's own.
        matched: tensors loaded, batch-norm statistics included, batch counters not.
        unused: tensors of the file that the module has no use for, a classifier's for instance.
    """

    layout: str
    matched: int
    unused: int


def load_weights(module: nn.Module, path: Path, prefixes: tuple[str, ...]) -> WeightsMatch:
    """Load a module's weights by name from a file; spare ones are left out.

    MobileNetV2 and the ResNets are read in the layouts of torchvision, timm and MMSegmentation
    (`backbone_layouts`); there a spare weight inside the module's own stages is refused too, for
    it means another depth.

    Args:
        module: changed in place, and only if all fits.
        path: a file that `read_weights` reads.
        prefixes: taken off each name in this order.

    Raises:
        InputError: the file cannot be read, or a weight is missing, of another shape or of another
            depth; the module is as it was.
    """
    given: dict[str, Tensor] = {}
    for name, tensor in read_weights(path).items():
        for prefix in prefixes:
            name = name.removeprefix(prefix)
        given[name] = tensor
    layout = layout_of(type(module).__name__, given)
    found = _translated(given, layout)
    expected = module.state_dict()
    wanted = {name for name in expected if not _counts_batches(name)}
    shared = wanted & found.keys()
    faults = {
        "missing": wanted - found.keys(),
        "of another shape": {name for name in shared if expected[name].shape != found[name].shape},
        "of another depth": _deeper(module, found.keys() - expected.keys()) if layout else set(),
    }
    if any(faults.values()):
        told = ", ".join(f"{_first(sorted(names))} {what}" for what, names in faults.items())
        fitting = len(shared) - len(faults["of another shape"])
        raise InputError.at(
            path,
            f"does not fit {type(module).__name__}: {told}; {fitting} of {len(wanted)} weights "
            f"match{_in_layout(layout)}. Give weights of this very model",
        )
    module.load_state_dict({name: found[name] for name in expected if name in found}, strict=False)
    used = len(expected.keys() & found.keys())
    return WeightsMatch(layout.origin if layout else "", len(wanted), len(given) - used)


def _translated(given: Mapping[str, Tensor], layout: Layout | None) -> dict[str, Tensor]:
    if layout is None:
        return dict(given)
    named = {layout.translated(name): tensor for name, tensor in given.items()}
    return {name: tensor for name, tensor in named.items() if name is not None}


def _counts_batches(name: str) -> bool:
    return name.endswith("num_batches_tracked")


def _deeper(module: nn.Module, spare: Set[str]) -> set[str]:
    """Of weights that the module has no use for, those that belong to one of its own parts."""
    parts = {name for name, _ in module.named_children()}
    return {name for name in spare if name.partition(".")[0] in parts}


def _in_layout(layout: Layout | None) -> str:
    return f" in the layout of {layout.origin}" if layout else ""


def _first(names: Sequence[str], shown: int = 3) -> str:
    more = ", ..." if len(names) > shown else ""
    return f"{len(names)} ({', '.join(names[:shown])}{more})" if names else "none"
