"""A user's MMSegmentation config file: its model and training, and what of them alspec refuses."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from alspec.models.nets import yapf_cache  # isort: skip  (needed by the next import)
from mmengine.config import Config

from alspec.datasets.base import IGNORE
from alspec.errors import InputError, Problem
from alspec.models.nets.config_data import ConfigData
from alspec.models.nets.normalisation import for_rgb, preprocessor_faults

__all__ = ["REGISTERED", "ConfigFile", "adapted", "read_config", "yapf_cache"]

REGISTERED = re.compile(r"((mmseg|mmdet|mmcls|mmpretrain)\.)?[A-Za-z]\w*")
"""A name of a registry, of a package with registries where it says so."""

SEGMENTORS = ("EncoderDecoder", "CascadeEncoderDecoder")
HEADS = ("decode_head", "auxiliary_head")
Heads: TypeAlias = "ConfigData | list[ConfigData] | tuple[ConfigData, ...]"
"""One head, or several in turn."""


@dataclass(frozen=True)
class ConfigFile:
    """What alspec reads of a config file, as plain data.

    Attributes:
        model: with its `data_preprocessor`; without what it would download.
        optim_wrapper: optimizer, `paramwise_cfg`, `clip_grad`; None where the file has none.
        param_scheduler: learning rates over a training, in order.
        train_cfg: the length of a training that the schedules are written for.
    """

    model: ConfigData
    optim_wrapper: ConfigData | None = None
    param_scheduler: list[ConfigData] = field(default_factory=list)
    train_cfg: ConfigData = field(default_factory=dict)


def read_config(path: Path) -> ConfigFile:
    """Run a config file, and read what alspec has a use for.

    Raises:
        InputError: it cannot be read, or holds no model, or something else than plain data.
    """
    try:
        whole = Config.fromfile(str(path)).to_dict()
    except Exception as err:
        raise InputError.at(path, f"cannot be read as an MMSegmentation config: {err}") from err
    model = _plain(path, "model", whole.get("model"))
    if not isinstance(model, dict) or "decode_head" not in model:
        raise InputError.at(
            path, "has no `model` with a `decode_head`; is it a whole MMSegmentation config?"
        )
    model = _by_bare_names(_without_downloads(model))
    if model.get("data_preprocessor") is None:
        given = _plain(path, "data_preprocessor", whole.get("data_preprocessor"))
        model["data_preprocessor"] = _by_bare_names(given)
    schedules = _plain(path, "param_scheduler", whole.get("param_scheduler")) or []
    return ConfigFile(
        model,
        _by_bare_names(_plain(path, "optim_wrapper", whole.get("optim_wrapper"))),
        _by_bare_names(schedules if isinstance(schedules, list) else [schedules]),
        _by_bare_names(_plain(path, "train_cfg", whole.get("train_cfg"))) or {},
    )


def _by_bare_names(part: Any) -> Any:
    """A part of a config whose types are registered names, also where it imported the classes."""
    if isinstance(part, (list, tuple)):
        return type(part)(_by_bare_names(item) for item in part)
    if not isinstance(part, dict):
        return part
    bare = {key: _by_bare_names(value) for key, value in part.items()}
    named = part.get("type")
    if isinstance(named, str) and not REGISTERED.fullmatch(named):
        bare["type"] = named.rpartition(".")[2]
    return bare


def _plain(path: Path, name: str, part: object) -> Any:
    """A part of a config, if it is all literals; tuples stay tuples, which MMSegmentation needs."""
    try:
        return ast.literal_eval(repr(part))
    except (ValueError, SyntaxError) as err:
        raise InputError.at(
            path, f"its `{name}` holds objects, but only plain data can be stored with the weights"
        ) from err


def _without_downloads(part: Any) -> Any:
    """A part of a config without the weights it names, which MMEngine would fetch."""
    if isinstance(part, (list, tuple)):
        return type(part)(_without_downloads(item) for item in part if not _is_download(item))
    if not isinstance(part, dict):
        return part
    return {
        key: _without_downloads(value)
        for key, value in part.items()
        if key != "pretrained" and not (key == "init_cfg" and _is_download(value))
    }


def _is_download(init_cfg: object) -> bool:
    return isinstance(init_cfg, dict) and init_cfg.get("type") == "Pretrained"


def adapted(model: ConfigData, classes: int, path: Path) -> ConfigData:
    """The model of a config file for RGB images and a dataset's classes.

    Args:
        model: of `read_config`.
        classes: of the dataset.
        path: the file, for messages.

    Raises:
        InputError: it asks for what alspec does not do; every reason at once.
    """
    config = dict(model)
    refused = [*_segmentor_faults(config), *preprocessor_faults(config["data_preprocessor"])]
    for role in HEADS:
        if head := config.get(role):
            config[role], faults = _heads_for(head, classes)
            refused += faults
    if refused:
        raise InputError([Problem(str(path), why) for why in refused])
    config["data_preprocessor"] = for_rgb(config["data_preprocessor"])
    return config


def _segmentor_faults(config: ConfigData) -> Iterator[str]:
    kind = str(config.get("type")).rpartition(".")[2]
    if kind in ("MultimodalEncoderDecoder", "DepthEstimator", "SegTTAModel"):
        yield (
            f"its model is a {kind}, which does not map one image to one map of classes. Choose an "
            f"{' or a '.join(SEGMENTORS)}"
        )
    test = config.get("test_cfg") or {}
    mode = test.get("mode", "whole")
    if mode not in ("whole", "slide"):
        yield f"its `test_cfg` has mode='{mode}'; alspec measures 'whole' or by 'slide'"
    elif mode == "slide" and not all(_is_size(test.get(key)) for key in ("crop_size", "stride")):
        yield "its `test_cfg` slides, and needs `crop_size` and `stride`, both (height, width)"


def _is_size(value: object) -> bool:
    return (
        isinstance(value, (list, tuple))
        and len(value) == 2
        and all(isinstance(side, int) and side > 0 for side in value)
    )


def _heads_for(heads: Heads, classes: int) -> tuple[Heads, list[str]]:
    """Heads of a role for a dataset's classes, and what is refused of them."""
    if not isinstance(heads, (list, tuple)):
        return _head_for(heads, classes)
    pairs = [_head_for(head, classes) for head in heads]
    return type(heads)(head for head, _ in pairs), [why for _, faults in pairs for why in faults]


def _head_for(head: ConfigData, classes: int) -> tuple[ConfigData, list[str]]:
    if "num_classes" not in head and any(_has_classes(value) for value in head.values()):
        # K-Net's head is made of heads, and takes no classes of its own.
        return _with_classes(head, classes), []
    changed = {**_with_classes(head, classes), "num_classes": classes, "ignore_index": IGNORE}
    faults = list(_loss_faults(head, classes))
    if head.get("out_channels") == 1:
        faults += _one_logit_faults(head, classes)
    elif head.get("out_channels") in (None, head.get("num_classes")):
        changed["out_channels"] = classes
    return changed, faults


def _has_classes(part: object) -> bool:
    if isinstance(part, Mapping):
        return "num_classes" in part or any(_has_classes(value) for value in part.values())
    return isinstance(part, (list, tuple)) and any(_has_classes(item) for item in part)


def _with_classes(part: Any, classes: int) -> Any:
    """A part of a head whose inner heads have the dataset's classes."""
    if isinstance(part, (list, tuple)):
        return type(part)(_with_classes(item, classes) for item in part)
    if not isinstance(part, Mapping):
        return part
    own = {"num_classes": classes, "ignore_index": IGNORE}
    return {
        key: own[key] if key in own else _with_classes(value, classes)
        for key, value in part.items()
    }


def _one_logit_faults(head: ConfigData, classes: int) -> Iterator[str]:
    kind = head.get("type")
    if classes != 2:
        yield (
            f"its {kind} has out_channels=1: one logit tells two classes apart, and the dataset "
            f"has {classes}. Leave `out_channels` out"
        )
    if not all(
        loss.get("use_sigmoid", loss.get("type") != "CrossEntropyLoss") for loss in _losses(head)
    ):
        yield (
            f"its {kind} has out_channels=1 and a loss without use_sigmoid=True, which is zero "
            "whatever is predicted. Set `use_sigmoid=True`"
        )
    threshold = head.get("threshold")
    if threshold is not None and not 0 < threshold < 1:
        yield f"its {kind} has threshold={threshold}; a sigmoid lies between 0 and 1"


def _losses(head: ConfigData) -> list[ConfigData]:
    losses = head.get("loss_decode") or [{"type": "CrossEntropyLoss"}]
    return list(losses) if isinstance(losses, (list, tuple)) else [losses]


def _loss_faults(head: ConfigData, classes: int) -> Iterator[str]:
    for loss in _losses(head):
        weights = loss.get("class_weight")
        if isinstance(weights, str):
            yield (
                f"its {loss['type']} reads its class weights from {weights}, which alspec does not "
                "open. Write them as a list"
            )
        elif isinstance(weights, (list, tuple)) and len(weights) != classes:
            yield (
                f"its {loss['type']} has {len(weights)} class weights, but the dataset has "
                f"{classes} classes. Give `class_weight` one number a class, or leave it out"
            )
