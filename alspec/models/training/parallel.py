"""A training in several processes: torch's DistributedDataParallel around what is trained.

Each process takes its part of every batch, and gradients are averaged: where losses are means over
images, that is the training on the whole batch. Batch norms take their statistics over all parts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

import torch
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from alspec.models.input.loader import Inputs
from alspec.models.nets.losses import average_over
from alspec.models.ranks import Ranks
from alspec.models.training.s4gan import S4GANSegmentor


class SharedBatchNorm(_BatchNorm):
    """A batch norm whose statistics are those of all processes together, on a processor.

    torch's `SyncBatchNorm` is the same for GPUs, and refuses anything else.
    """

    ranks: Ranks

    def _check_input_dim(self, input: Tensor) -> None:
        """Any number of dimensions, as torch's own."""

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, ...) normalised by mean and variance over all but C, of every process."""
        if not self.training:
            normalised: Tensor = super().forward(input)
            return normalised
        others = [dim for dim in range(input.dim()) if dim != 1]
        shape = [1, -1] + [1] * (input.dim() - 2)
        count = input.numel() // input.shape[1] * self.ranks.count
        mean = self.ranks.total(input.sum(others)) / count
        centred = input - mean.view(shape)
        variance = self.ranks.total(centred.square().sum(others)) / count
        self._follow(mean.detach(), variance.detach(), count)
        output = centred * (variance + self.eps).rsqrt().view(shape)
        if self.weight is not None:
            output = output * self.weight.view(shape) + self.bias.view(shape)
        return output

    def _follow(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Move the running statistics, the variance without its bias, as torch does."""
        if self.running_mean is None or self.running_var is None:
            return
        share = self.momentum
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            share = share if share is not None else 1.0 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean, share or 0.0)
        self.running_var.lerp_(variance * count / max(1, count - 1), share or 0.0)


def foreign_norms(model: nn.Module) -> Iterator[str]:
    """Batch norms whose statistics alspec cannot take over all processes, by their class."""
    kinds = {type(module) for module in model.modules() if isinstance(module, _BatchNorm)}
    for kind in sorted(kinds, key=lambda one: one.__qualname__):
        if not kind.__module__.startswith("torch.nn.modules."):
            yield f"{kind.__module__}.{kind.__qualname__}"


class Parallel(MMDistributedDataParallel):  # type: ignore[misc]
    """MMEngine's wrapper of torch's; also for s4GAN, and with losses of the whole batch in the log.

    Parameters that a step does not use are looked for in each: heads of configs may have some. It
    also keeps the order in which gradients are summed, which torch else changes after the first
    step of a process, so that a resumed training repeats its bits.
    """

    def __init__(self, model: nn.Module, ranks: Ranks) -> None:
        """Wrap what lies on its device; weights become those of the first process."""
        device = next(model.parameters()).device
        model = _with_shared_norms(model, ranks, device)
        average_over(model, ranks)
        on_gpu = {"device_ids": [device], "output_device": device} if device.type == "cuda" else {}
        super().__init__(model, find_unused_parameters=True, **on_gpu)
        self.ranks = ranks

    def train_step(
        self, data: Mapping[str, Inputs], optim_wrapper: OptimWrapper | OptimWrapperDict
    ) -> dict[str, Tensor]:
        """One step on this process's part of a batch; losses are means over all parts."""
        if isinstance(self.module, S4GANSegmentor):
            logs = self.module.train_step(data, optim_wrapper, through=self)
        else:
            logs = super().train_step(data, optim_wrapper)
        means = self.ranks.mean(torch.stack([value.detach().float() for value in logs.values()]))
        return dict(zip(logs, means.unbind(), strict=True))


def bare(model: nn.Module) -> nn.Module:
    """What is trained, without the wrapper of several processes."""
    return cast("nn.Module", model.module) if isinstance(model, Parallel) else model


def _with_shared_norms(model: nn.Module, ranks: Ranks, device: torch.device) -> nn.Module:
    if device.type == "cuda":
        converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
        return converted
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, _BatchNorm):
                setattr(module, name, _shared(child, ranks))
    return model


def _shared(norm: _BatchNorm, ranks: Ranks) -> SharedBatchNorm:
    """The same weights and statistics, the very tensors, in another class."""
    shared = SharedBatchNorm(
        norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats
    )
    shared.__dict__.update(norm.__dict__)
    shared.ranks = ranks
    return shared
