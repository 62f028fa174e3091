"""Builds a segmentor from its name or an MMSegmentation config file, with weights from files."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alspec.models import compat  # isort: skip  (mends the imports below)
import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmseg.registry import MODELS
from torch import Tensor, nn

import alspec.models.wrn38
from alspec.datasets.base import IGNORE
from alspec.errors import InputError
from alspec.models.mc_dropout import add_decoder_dropout

__all__ = ["build_segmentor", "compat", "model_config"]

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)


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


def _resnet18_deeplab(base_channels: int, channels: int, low: int, dilations: Any) -> dict[str, Any]:
    return _deeplabv3plus(
        _resnet18(base_channels),
        in_channels=8 * base_channels,
        low_level=base_channels,
        channels=channels,
        low_level_channels=low,
        dilations=dilations,
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
    widths = {
        "deeplabv3plus_r18": (64, 256, 48, (1, 12, 24, 36)),
        "deeplabv3plus_small": (32, 96, 24, (1, 6, 12, 18)),
        "deeplabv3plus_tiny": (16, 48, 16, (1, 6, 12)),
    }
    return _resnet18_deeplab(*widths[name])


def _from_file(path: Path) -> dict[str, Any]:
    """The `model` of an MMSegmentation config file; what it would download is left out."""
    try:
        model = Config.fromfile(str(path)).get("model")
    except Exception as err:
        raise InputError.at(path, f"cannot be read as an MMSegmentation config: {err}") from err
    if not isinstance(model, Mapping):
        raise InputError.at(path, "has no `model`; is it a whole MMSegmentation config?")
    plain: dict[str, Any] = copy.deepcopy(model.to_dict())
    plain["pretrained"] = None
    backbone = plain.get("backbone", {})
    backbone.pop("pretrained", None)
    if (backbone.get("init_cfg") or {}).get("type") == "Pretrained":
        backbone["init_cfg"] = None
    return plain


def _heads(model: Mapping[str, Any]) -> list[dict[str, Any]]:
    heads: list[dict[str, Any]] = []
    for role in ("decode_head", "auxiliary_head"):
        head = model.get(role) or []
        heads += head if isinstance(head, list) else [head]
    return heads


def model_config(
    name: str | None, classes: int, config_file: Path | None = None
) -> dict[str, Any]:
    """The MMSegmentation model config of a built-in model, or of a config file, as plain data.

    Classes, the ignored label and the preprocessing are set; the losses of a config file stay.

    Raises:
        InputError: the config file cannot be read.
    """
    config = _from_file(config_file) if config_file else _named(str(name))
    config["data_preprocessor"] = {
        "type": "SegDataPreProcessor",
        "mean": IMAGENET_MEAN,
        "std": IMAGENET_STD,
        "bgr_to_rgb": False,
        "pad_val": 0,
        "seg_pad_val": IGNORE,
        "size_divisor": 1,
    }
    for head in _heads(config):
        head["num_classes"] = classes
        head["ignore_index"] = IGNORE
        head["out_channels"] = classes
        if config_file is None:
            head["loss_decode"] = {"type": "CrossEntropyLoss", "avg_non_ignore": True}
    return config


def build_segmentor(
    config: Mapping[str, Any],
    *,
    mc_dropout: bool,
    pretrained: Path | None = None,
    checkpoint: Path | None = None,
) -> nn.Module:
    """The segmentor with initial weights, on the CPU, in float32.

    Random weights come from torch's global generator: seed it before. Weights from files replace
    them.

    Args:
        config: as `model_config` gives it.
        mc_dropout: with dropout layers in the decoder.
        pretrained: weights of the backbone, ImageNet's for instance.
        checkpoint: weights of the whole segmentor.

    Raises:
        InputError: a file cannot be read, or its weights do not fit the model.
    """
    model: nn.Module = revert_sync_batchnorm(MODELS.build(copy.deepcopy(dict(config))))
    model.init_weights()  # type: ignore[operator]
    if mc_dropout:
        add_decoder_dropout(model)
    if pretrained:
        backbone: nn.Module = model.backbone  # type: ignore[assignment]
        _load(backbone, pretrained, ("module.", "backbone."), ("classifier.", "fc."))
    if checkpoint:
        _load(model, checkpoint, ("module.",), ())
    return model


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a `.safetensors` or `.pth` file; nothing but tensors is ever unpickled.

    Raises:
        InputError: the file is missing, or holds anything else.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            tensors: dict[str, Tensor] = load_file(path)
            return tensors
        data = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as err:
        raise InputError.at(
            path, f"cannot be read as weights ({type(err).__name__}: {err}). Only tensors are loaded"
        ) from err
    if isinstance(data, Mapping) and isinstance(data.get("state_dict"), Mapping):
        data = data["state_dict"]
    if not isinstance(data, Mapping) or not all(isinstance(v, Tensor) for v in data.values()):
        raise InputError.at(path, "holds no state dict (parameter name to tensor)")
    return dict(data)


def _load(
    module: nn.Module, path: Path, prefixes: tuple[str, ...], left_out: tuple[str, ...]
) -> None:
    """Load weights key by key; a missing or misshapen one is an error, spare ones must be `left_out`."""
    found: dict[str, Tensor] = {}
    for name, tensor in read_weights(path).items():
        for prefix in prefixes:
            name = name.removeprefix(prefix)
        if not name.startswith(left_out or ("\0",)):
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
            f"does not fit {type(module).__name__}: {len(missing)} parameters missing "
            f"({', '.join(missing[:3])}), {len(misshapen)} of another shape ({', '.join(misshapen[:3])})",
        )
    module.load_state_dict({name: found[name] for name in expected if name in found}, strict=False)


def parameter_count(module: nn.Module) -> int:
    """Trainable numbers in a module."""
    return sum(parameter.numel() for parameter in module.parameters())


_ = alspec.models.wrn38.WideResNet38  # registers the backbone
