"""Configs of small segmentors with MMSegmentation's decode heads, by the head's name."""

from __future__ import annotations

from typing import Any

from alspec.models.nets.config import model_config


def head_config(head: dict[str, Any]) -> dict[str, Any]:
    config = model_config("deeplabv3plus_tiny", 3)
    shared = {
        "channels": 16, "num_classes": 3, "align_corners": False, "dropout_ratio": 0.1,
        "norm_cfg": {"type": "BN"}, "loss_decode": {"type": "CrossEntropyLoss"},
    }  # fmt: skip
    config["decode_head"] = {**shared, **head}
    return config


HEADS: dict[str, dict[str, Any]] = {
    "FCNHead": {"type": "FCNHead", "in_channels": 128, "in_index": 3, "num_convs": 2},
    "PSPHead": {"type": "PSPHead", "in_channels": 128, "in_index": 3, "pool_scales": (1, 2)},
    "UPerHead": {
        "type": "UPerHead",
        "in_channels": [16, 32, 64, 128],
        "in_index": [0, 1, 2, 3],
        "pool_scales": (1, 2),
    },
    "ASPPHead": {"type": "ASPPHead", "in_channels": 128, "in_index": 3, "dilations": (1, 2)},
}
