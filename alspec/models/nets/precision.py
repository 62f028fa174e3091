"""What `training.precision` means on a device, in training and in scoring alike."""

from __future__ import annotations

import torch


def in_bfloat16(precision: str, device: torch.device) -> bool:
    """Whether the network computes in bfloat16 (autocast): `auto` does on a GPU."""
    return precision == "bfloat16" or (precision == "auto" and device.type == "cuda")
