"""Reads weights from files: tensors alone, loaded name by name."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from alspec.errors import InputError
from alspec.models.nets.backbone_layouts import Layout, layout_of
from alspec.models.nets.checkpoint_pickle import UnreadablePickle, read_archive
from alspec.models.nets.weights_limits import refuse_excess, refuse_excessive_tensors

STATE_DICT_KEYS = ("state_dict", "model")
"""Where checkpoints keep their state dict: MMEngine, Lightning and timm; torchvision's and DeiT's
training scripts."""


HEADS = ("decode_head.", "auxiliary_head.")


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """What a file of weights holds.

    Attributes:
        tensors: by parameter name.
        skipped: classes whose objects were left out of a checkpoint.
    """

    tensors: dict[str, Tensor]
    skipped: Sequence[str] = ()


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a `.safetensors` or `.pth` file; nothing but tensors is ever unpickled.

    Raises:
        InputError: the file is missing, holds anything else, or claims more than it can hold.
    """
    return read_weights_file(path).tensors


def read_weights_file(path: Path) -> WeightsFile:
    """The same, with what a training's checkpoint holds besides and is skipped."""
    read = _loaded(path)
    refuse_excessive_tensors(path, read.tensors)
    return read


def _loaded(path: Path) -> WeightsFile:
    skipped: Sequence[str] = ()
    try:
        refuse_excess(path)
        if path.suffix == ".safetensors":
            return WeightsFile(load_file(path))
        try:
            data = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as err:
            if not _has_other_classes(path, err):
                raise
            content = read_archive(path)
            data, skipped = content.data, content.skipped
    except InputError:
        raise
    except Exception as err:
        raise InputError.at(
            path,
            f"cannot be read as weights, and nothing but tensors is loaded ({_why(err)}). "
            "Save its state dict alone, best as .safetensors",
        ) from err
    if isinstance(data, Mapping):
        nested = (data[key] for key in STATE_DICT_KEYS if isinstance(data.get(key), Mapping))
        data = next(nested, data)
    if not isinstance(data, Mapping) or not all(isinstance(v, Tensor) for v in data.values()):
        raise InputError.at(path, "holds no state dict (parameter name to tensor)")
    return WeightsFile(dict(data), skipped)


def _has_other_classes(path: Path, err: Exception) -> bool:
    """Whether torch's safe loader stopped at a class that it does not know."""
    return bool(_REFUSED.search(str(err))) and zipfile.is_zipfile(path)


_REFUSED = re.compile(r"[Uu]nsupported (?:global: )?(?:GLOBAL|class|operand) (\S+)")


def _why(err: Exception) -> str:
    """What torch says of a file, without its advice to load it unsafely."""
    if isinstance(err, UnreadablePickle):
        return str(err)
    if refused := _REFUSED.search(str(err)):
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
        reinitialised: tensors that depend on the number of classes and keep their random values.
        classes: of the file's own classifier, where that is another number.
        skipped: classes whose objects in the file were left out.
    """

    layout: str
    matched: int
    unused: int
    reinitialised: Sequence[str] = ()
    classes: int | None = None
    skipped: Sequence[str] = ()


def load_weights(
    module: nn.Module, path: Path, prefixes: tuple[str, ...], *, classes: int | None = None
) -> WeightsMatch:
    """Load a module's weights by name from a file; spare ones are left out.

    MobileNetV2 and the ResNets are read in the layouts of torchvision, timm and MMSegmentation
    (`backbone_layouts`); there a spare weight inside the module's own stages is refused too, for
    it means another depth.

    Args:
        module: changed in place, and only if all fits.
        path: a file that `read_weights` reads.
        prefixes: taken off each name in this order.
        classes: of the module's decode head, if a file of another number of classes will do: what
            depends on that number in the heads then stays as it is.

    Raises:
        InputError: the file cannot be read, or a weight is missing, of another shape or of another
            depth, is not finite or holds whole numbers; the module is as it was.
    """
    read = read_weights_file(path)
    given: dict[str, Tensor] = {}
    for name, tensor in read.tensors.items():
        for prefix in prefixes:
            name = name.removeprefix(prefix)
        given[name] = tensor
    layout = layout_of(type(module).__name__, given)
    found = _translated(given, layout)
    expected = module.state_dict()
    wanted = {name for name in expected if not _counts_batches(name)}
    shared = wanted & found.keys()
    reshaped = {name for name in shared if expected[name].shape != found[name].shape}
    other = _other_classes(reshaped, expected, found, classes) if classes else None
    faults = {
        "missing": wanted - found.keys(),
        "of another shape": reshaped if other is None else set(),
        "of another depth": _deeper(module, found.keys() - expected.keys()) if layout else set(),
    }
    if any(faults.values()):
        reasons = ", ".join(f"{_first(sorted(names))} {what}" for what, names in faults.items())
        raise InputError.at(
            path,
            f"does not fit {type(module).__name__}: {reasons}; {len(shared - reshaped)} of "
            f"{len(wanted)} weights match{_in_layout(layout)}. Give weights of this very model",
        )
    loaded = {name: found[name] for name in expected if name in found and name not in reshaped}
    _refuse_values(path, expected, loaded)
    module.load_state_dict(loaded, strict=False)
    used = len(expected.keys() & found.keys())
    return WeightsMatch(
        layout=layout.origin if layout else "",
        matched=len(wanted) - len(reshaped),
        unused=len(given) - used,
        reinitialised=sorted(reshaped),
        classes=other,
        skipped=read.skipped,
    )


def _refuse_values(
    path: Path, expected: Mapping[str, Tensor], loaded: Mapping[str, Tensor]
) -> None:
    """Refuse weights that no training made: with NaN or infinity, or whole numbers."""
    real = {name for name, tensor in loaded.items() if expected[name].is_floating_point()}
    whole = {name for name in real if not loaded[name].is_floating_point()}
    infinite = {name for name in real - whole if not loaded[name].float().isfinite().all()}
    wrong = [
        f"{_first(sorted(names))} {what}"
        for names, what in (
            (infinite, "with values that are NaN or infinite"),
            (whole, "of whole numbers, as quantised models have them"),
        )
        if names
    ]
    if wrong:
        raise InputError.at(
            path,
            f"holds weights that cannot be trained on: {' and '.join(wrong)}. Give weights in "
            "floating point of a training that went well",
        )


def _other_classes(
    reshaped: Set[str],
    expected: Mapping[str, Tensor],
    found: Mapping[str, Tensor],
    classes: int,
) -> int | None:
    """The file's number of classes, if that alone explains every difference of shape.

    Each must be in a head, and in one dimension, by as much as the numbers of classes differ.
    """
    differences: set[int] = set()
    for name in reshaped:
        ours, theirs = expected[name].shape, found[name].shape
        pairs = [(a, b) for a, b in zip(ours, theirs, strict=False) if a != b]
        if len(ours) != len(theirs) or len(pairs) != 1 or not name.startswith(HEADS):
            return None
        ((a, b),) = pairs
        differences.add(b - a)
    if len(differences) != 1:
        return None
    other = classes + differences.pop()
    return other if other > 0 else None


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
