"""The MMSegmentation config of a model, from its name or from a config file."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from alspec.datasets.base import IGNORE
from alspec.errors import InputError

REGISTERED = re.compile(r"((mmseg|mmdet|mmcls|mmpretrain)\.)?[A-Za-z]\w*")
"""A name of a registry, of a package with registries where it says so."""

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)
"""Of images of 0 to 255, RGB."""

PREPROCESSING: Mapping[str, Any] = {
    "mean": IMAGENET_MEAN,
    "std": IMAGENET_STD,
    "bgr_to_rgb": False,
    "pad_val": 0,
    "seg_pad_val": IGNORE,
    "size_divisor": 1,
}


def _deeplabv3plus(
    backbone: Mapping[str, Any],
    *,
    in_channels: int,
    low_level: int,
    channels: int,
    low_level_channels: int,
    dilations: tuple[int, ...],
    in_index: int,
) -> dict[str, Any]:
    return {
        "type": "EncoderDecoder",
        "data_preprocessor": None,
        "backbone": dict(backbone),
        "decode_head": {
            "type": "DepthwiseSeparableASPPHead",
            "in_channels": in_channels,
            "in_index": in_index,
            "channels": channels,
            "dilations": dilations,
            "c1_in_channels": low_level,
            "c1_channels": low_level_channels,
            "dropout_ratio": 0.0,
            "norm_cfg": {"type": "BN", "requires_grad": True},
            "align_corners": False,
        },
        "train_cfg": {},
        "test_cfg": {"mode": "whole"},
    }


def _resnet18(base_channels: int) -> dict[str, Any]:
    return {
        "type": "ResNet",
        "depth": 18,
        "base_channels": base_channels,
        "stem_channels": base_channels,
        "num_stages": 4,
        "out_indices": (0, 1, 2, 3),
        "strides": (1, 2, 1, 1),
        "dilations": (1, 1, 2, 4),
        "norm_cfg": {"type": "BN", "requires_grad": True},
        "contract_dilation": True,
    }


def _resnet18_deeplab(
    base_channels: int, channels: int, low: int, dilations: tuple[int, ...]
) -> dict[str, Any]:
    return _deeplabv3plus(
        _resnet18(base_channels),
        in_channels=8 * base_channels,
        low_level=base_channels,
        channels=channels,
        low_level_channels=low,
        dilations=dilations,
        in_index=3,
    )


def _mobilenet_deeplab() -> dict[str, Any]:
    """MobileNetV2 at output stride 8, as MMSegmentation's own configs dilate it.

    Its 320 channels need no head of 256; and atrous rates of small images serve those it is for.
    """
    backbone = {
        "type": "MobileNetV2",
        "widen_factor": 1.0,
        "strides": (1, 2, 2, 1, 1, 1, 1),
        "dilations": (1, 1, 1, 2, 2, 4, 4),
        "out_indices": (1, 2, 4, 6),
        "norm_cfg": {"type": "BN", "requires_grad": True},
    }
    return _deeplabv3plus(
        backbone,
        in_channels=320,
        low_level=24,
        channels=128,
        low_level_channels=24,
        dilations=(1, 6, 12, 18),
        in_index=3,
    )


def _named(name: str) -> dict[str, Any]:
    """The model config of a built-in model."""
    if name == "deeplabv3plus_wrn38":
        return _deeplabv3plus(
            {"type": "WideResNet38"},
            in_channels=4096,
            low_level=128,
            channels=256,
            low_level_channels=48,
            dilations=(1, 12, 24, 36),
            in_index=1,
        )
    if name == "deeplabv3plus_mnv2":
        return _mobilenet_deeplab()
    widths = {
        "deeplabv3plus_r18": (64, 256, 48, (1, 12, 24, 36)),
        "deeplabv3plus_small": (32, 96, 24, (1, 6, 12, 18)),
        "deeplabv3plus_tiny": (16, 48, 16, (1, 6, 12)),
    }
    return _resnet18_deeplab(*widths[name])


def _from_file(path: Path) -> dict[str, Any]:
    """The `model` of an MMSegmentation config file; what it would download is left out."""
    try:
        whole = Config.fromfile(str(path)).to_dict()
    except Exception as err:
        raise InputError.at(path, f"cannot be read as an MMSegmentation config: {err}") from err
    plain = _plain(path, whole.get("model"))
    if not isinstance(plain, dict) or "decode_head" not in plain:
        raise InputError.at(
            path, "has no `model` with a `decode_head`; is it a whole MMSegmentation config?"
        )
    model: dict[str, Any] = _by_bare_names(_without_downloads(plain))
    return model


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


def _plain(path: Path, part: Any) -> Any:
    """A part of a config, if it is all literals, tuples told from lists as MMSegmentation does."""
    try:
        return ast.literal_eval(repr(part))
    except (ValueError, SyntaxError) as err:
        raise InputError.at(
            path, "its `model` holds objects, but only plain data can be kept with the weights"
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


def _is_download(init_cfg: Any) -> bool:
    return isinstance(init_cfg, dict) and init_cfg.get("type") == "Pretrained"


def _heads(model: Mapping[str, Any]) -> list[dict[str, Any]]:
    heads: list[dict[str, Any]] = []
    for role in ("decode_head", "auxiliary_head"):
        head = model.get(role) or []
        heads += head if isinstance(head, list) else [head]
    return heads


def _check_class_weights(head: Mapping[str, Any], classes: int, path: Path | None) -> None:
    losses = head.get("loss_decode") or []
    for loss in losses if isinstance(losses, list) else [losses]:
        weights = loss.get("class_weight")
        if isinstance(weights, list) and len(weights) != classes:
            raise InputError.at(
                path or "model",
                f"its {loss['type']} has {len(weights)} class weights, but the dataset has "
                f"{classes} classes. Give `class_weight` one number a class, or leave it out",
            )


def model_config(name: str | None, classes: int, config_file: Path | None = None) -> dict[str, Any]:
    """The MMSegmentation model config of a built-in model, or of a config file, as plain data.

    Classes, the ignored label and the preprocessing are set; the losses of a config file stay, the
    weights it would download do not.

    Raises:
        InputError: the config file cannot be read, holds no model or something else than plain
            data, or weighs another number of classes.
    """
    config = _from_file(config_file) if config_file else _named(str(name))
    config["data_preprocessor"] = {"type": "SegDataPreProcessor", **PREPROCESSING}
    for head in _heads(config):
        head["num_classes"] = classes
        head["ignore_index"] = IGNORE
        head["out_channels"] = classes
        _check_class_weights(head, classes, config_file)
        if config_file is None:
            head["loss_decode"] = {"type": "CrossEntropyLoss", "avg_non_ignore": True}
    return config
