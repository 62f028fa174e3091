"""Batch norm folded into convolutions: the same predictions, or the network as it was."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from factories.images import images, tiny
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from alspec.models.inference.batchnorm_folding import folded
from alspec.models.inference.outputs import outputs_of
from alspec.models.nets.build import build_segmentor
from alspec.models.nets.config import model_config

CPU = torch.device("cpu")


def trained(model: Any) -> Any:
    """Batch norms as a training leaves them, not as they begin."""
    generator = torch.Generator().manual_seed(3)
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            for tensor, low in (
                (module.running_mean, -0.5), (module.running_var, 0.5),
                (module.weight.data, 0.5), (module.bias.data, -0.5),
            ):  # fmt: skip
                assert tensor is not None
                tensor.copy_(low + torch.rand(tensor.shape, generator=generator))
    return model


def norms(model: Any) -> int:
    return sum(isinstance(module, _BatchNorm) for module in model.modules())


@pytest.mark.parametrize("mc_dropout", [False, True])
@torch.inference_mode()
def test_a_folded_net_predicts_the_same_with_fewer_layers(mc_dropout: bool) -> None:
    plain = trained(tiny(mc_dropout=mc_dropout))
    quick = folded(lambda: trained(tiny(mc_dropout=mc_dropout)))
    assert norms(plain) > 10
    assert norms(quick) == 0
    ours, theirs = (outputs_of(model, images(2), CPU, passes=2) for model in (quick, plain))
    torch.testing.assert_close(ours.logits_BCHW, theirs.logits_BCHW, rtol=1e-3, atol=1e-4)
    if mc_dropout:
        for one, other in zip(ours.log_p_passes, theirs.log_p_passes, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)


@torch.inference_mode()
def test_pre_activation_blocks_keep_the_norms_that_no_convolution_precedes() -> None:
    def load() -> Any:
        torch.manual_seed(0)
        config = model_config("deeplabv3plus_tiny", 3)
        config["backbone"] = {"type": "WideResNet38"}
        config["decode_head"] |= {"in_channels": 4096, "in_index": 1, "c1_in_channels": 128}
        return trained(build_segmentor(config, mc_dropout=False).eval())

    plain, quick = load(), folded(load)
    assert 0 < norms(quick) < norms(plain)
    torch.testing.assert_close(
        *(outputs_of(model, images(1), CPU).log_p_BCHW for model in (quick, plain)),
        rtol=1e-3,
        atol=1e-3,
    )


class Reversed(nn.Module):
    """Calls its layers in another order than they are registered in."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.norm = nn.BatchNorm2d(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(self.conv(self.norm(x)).relu())


class Stub(nn.Module):
    align_corners = False

    def __init__(self, decode_head: nn.Module) -> None:
        super().__init__()
        self.decode_head = decode_head

    def extract_feat(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs


def test_a_net_that_folding_would_change_stays_as_it_is() -> None:
    def load() -> Any:
        torch.manual_seed(0)
        return trained(Stub(Reversed()).eval())

    kept = folded(load)
    assert norms(kept) == 1
    assert torch.equal(kept.decode_head.conv.weight, load().decode_head.conv.weight)


def test_a_net_that_cannot_be_tried_stays_as_it_is() -> None:
    class Picky(Reversed):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise RuntimeError(f"no images of {tuple(x.shape)}")

    model = Stub(Picky()).eval()
    assert folded(lambda: model) is model
    assert norms(model) == 1


def test_a_net_without_batch_norm_is_loaded_once() -> None:
    loads: list[int] = []

    def load() -> Any:
        loads.append(1)
        return Stub(nn.Conv2d(3, 2, 1)).eval()

    folded(load)
    assert loads == [1]
