"""Has a training on a GPU repeat its bits: the passes that torch adds up in no fixed order.

cuDNN is set to be deterministic, and cuBLAS is with the workspace that workers set. Two backward
passes of segmentation nets are left, which add with atomics: bilinear upsampling, and max pooling
of maps whose channels come last. `torch.use_deterministic_algorithms` would take an upsampling that
sorts every pixel, and refuse losses that repeat themselves.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cache, lru_cache

import torch
from torch import Tensor, nn
from torch.library import Library


def repeat_exactly(model: nn.Module) -> None:
    """Have the backward passes of a model on a GPU give the same bits from the same numbers."""
    _upsampling_repeats("CUDA")
    for module in model.modules():
        if isinstance(module, nn.MaxPool2d):
            module.register_forward_pre_hook(_channels_first)


def _channels_first(_module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Pooling of such images gathers in its backward pass; nothing is added with atomics."""
    return (inputs[0].contiguous(), *inputs[1:])


@cache
def _upsampling_repeats(backend: str) -> Library:
    """Put `upsampling_backward` in the place of torch's own, for the life of the process."""
    library = Library("aten", "IMPL")  # type: ignore[no-untyped-call]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a kernel is replaced, which is what is wanted
        library.impl(  # type: ignore[no-untyped-call]
            "upsample_bilinear2d_backward", upsampling_backward, backend
        )
    return library  # its end would bring torch's own back


def upsampling_backward(
    gradient_BCHW: Tensor,
    output_size: Sequence[int],
    input_size: Sequence[int],
    align_corners: bool,
    scales_h: float | None = None,
    scales_w: float | None = None,
) -> Tensor:
    """The gradient (B, C, h, w) of what was upsampled, as two matrix products in float32 or wider.

    Bilinear upsampling is linear in rows and in columns, Y X Z^T; so its gradient is Y^T G Z.

    Args:
        gradient_BCHW: of the upsampled maps.
        output_size: H, W.
        input_size: B, C, h, w.
        align_corners: as in `torch.nn.functional.interpolate`.
        scales_h: scale factor of the rows, where one was given in place of a size.
        scales_w: the same of the columns.
    """
    device, wide = gradient_BCHW.device, torch.promote_types(gradient_BCHW.dtype, torch.float32)
    rows_Hh = _weights(output_size[0], input_size[2], align_corners, scales_h, device, wide)
    columns_Ww = _weights(output_size[1], input_size[3], align_corners, scales_w, device, wide)
    with torch.autocast(device.type, enabled=False):
        narrow_BCHw = gradient_BCHW.to(wide) @ columns_Ww
        return (rows_Hh.T @ narrow_BCHw).to(gradient_BCHW.dtype)


@lru_cache(maxsize=64)  # sending them again would wait for the device
def _weights(
    wanted: int,
    there: int,
    align_corners: bool,
    scale: float | None,
    device: torch.device,
    dtype: torch.dtype,
) -> Tensor:
    """(wanted, there): how much of each row that is there goes into each that is wanted."""
    places = torch.arange(wanted, dtype=torch.float64)
    if align_corners:
        places *= (there - 1) / (wanted - 1) if wanted > 1 else 0.0
    else:
        step = 1 / scale if scale else there / wanted
        places = ((places + 0.5) * step - 0.5).clamp_min(0)
    above = places.long().clamp_max(there - 1)
    below = (above + 1).clamp_max(there - 1)
    share = (places - above).clamp(0, 1)
    weights = torch.zeros((wanted, there), dtype=torch.float64)
    rows = torch.arange(wanted)
    weights[rows, above] += 1 - share
    weights[rows, below] += share
    return weights.to(device, dtype)
