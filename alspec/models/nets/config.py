"""The MMSegmentation config of a model, from its name or from a config file."""

from __future__ import annotations

from pathlib import Path

from alspec.datasets.base import IGNORE
from alspec.models.nets.config_data import ConfigData
from alspec.models.nets.normalisation import PREPROCESSING
from alspec.models.nets.own_config import adapted, read_config


def _deeplabv3plus(
    backbone: ConfigData,
    *,
    in_channels: int,
    low_level: int,
    channels: int,
    low_level_channels: int,
    dilations: tuple[int, ...],
    in_index: int,
) -> ConfigData:
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


def _resnet18(base_channels: int) -> ConfigData:
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
) -> ConfigData:
    return _deeplabv3plus(
        _resnet18(base_channels),
        in_channels=8 * base_channels,
        low_level=base_channels,
        channels=channels,
        low_level_channels=low,
        dilations=dilations,
        in_index=3,
    )


def _mobilenet_deeplab() -> ConfigData:
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


def _named(name: str) -> ConfigData:
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
    if name == "deeplabv3plus_wrn38_dense":
        config = _named("deeplabv3plus_wrn38")
        config["backbone"]["bn_out"] = False
        config["decode_head"]["type"] = "DenseASPPHead"
        return config
    if name == "deeplabv3plus_mnv2":
        return _mobilenet_deeplab()
    widths = {
        "deeplabv3plus_r18": (64, 256, 48, (1, 12, 24, 36)),
        "deeplabv3plus_small": (32, 96, 24, (1, 6, 12, 18)),
        "deeplabv3plus_tiny": (16, 48, 16, (1, 6, 12)),
    }
    return _resnet18_deeplab(*widths[name])


def model_config(name: str | None, classes: int, config_file: Path | None = None) -> ConfigData:
    """The MMSegmentation model config of a built-in model, or of a config file, as plain data.

    It is built for alspec's images, which are RGB. Classes and the ignored label are set. Of a
    config file stay the losses, the normalisation, the kind of inference; what it would download
    does not.

    Raises:
        InputError: the config file cannot be read, holds no model or something else than plain
            data, or asks for what alspec does not do.
    """
    if config_file is not None:
        return adapted(read_config(config_file).model, classes, config_file)
    config = _named(str(name))
    config["data_preprocessor"] = {"type": "SegDataPreProcessor", **PREPROCESSING}
    config["decode_head"] |= {
        "num_classes": classes,
        "ignore_index": IGNORE,
        "out_channels": classes,
        "loss_decode": {"type": "CrossEntropyLoss", "avg_non_ignore": True},
    }
    return config
