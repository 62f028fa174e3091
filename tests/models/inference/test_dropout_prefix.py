"""Passes that go on from the first dropout, against whole passes with the same masks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from factories.decode_heads import HEADS, head_config
from factories.images import images, tiny
from torch import Tensor, nn

from alspec.models.inference.dropout_prefix import CachedPrefix
from alspec.models.inference.outputs import outputs_of
from alspec.models.nets.build import build_segmentor
from alspec.models.nets.mc_dropout import decoder_dropouts, sampling

CPU = torch.device("cpu")
MORE_HEADS: dict[str, dict[str, Any]] = {
    **HEADS,
    "DepthwiseSeparableASPPHead": {
        "type": "DepthwiseSeparableASPPHead",
        "in_channels": 128,
        "in_index": 3,
        "dilations": (1, 2),
        "c1_in_channels": 16,
        "c1_channels": 8,
    },
}


def with_head(head: str) -> Any:
    torch.manual_seed(0)
    model: Any = build_segmentor(head_config(MORE_HEADS[head]), mc_dropout=True).eval()
    nn.init.normal_(model.decode_head.conv_seg.weight, std=1.0)
    return model


def whole_pass(model: Any, inputs: Tensor, seed: int) -> Tensor:
    """Everything anew, the encoder included."""
    with sampling(model):
        torch.manual_seed(seed)
        logits = model.decode_head(model.extract_feat(inputs))
    size = inputs.shape[2:]
    wide = nn.functional.interpolate(logits, size=size, mode="bilinear", align_corners=False)
    return wide.log_softmax(dim=1)


@pytest.mark.parametrize("head", MORE_HEADS)
@torch.inference_mode()
def test_passes_are_whole_forwards_with_the_same_masks_bit_for_bit(head: str) -> None:
    model = with_head(head)
    outputs = outputs_of(model, images(2, (64, 64)), CPU, passes=4, generator_seed=11)
    for number, log_p in enumerate(outputs.log_p_passes):
        assert torch.equal(log_p, whole_pass(model, outputs.inputs, 11 + number))


@pytest.mark.parametrize("head", MORE_HEADS)
@torch.inference_mode()
def test_what_comes_before_the_first_dropout_is_computed_once(head: str) -> None:
    model, run = with_head(head), list[str]()
    for module in model.decode_head.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda *_: run.append("convolution"))
    for layer in decoder_dropouts(model):
        layer.register_forward_hook(lambda *_: run.append("dropout"))
    in_pass = []
    for _ in outputs_of(model, images(1, (64, 64)), CPU, passes=3).log_p_passes:
        in_pass.append(tuple(run))
        run.clear()
    before = in_pass[0].index("dropout")
    assert before >= 1
    assert in_pass[1] == in_pass[2] == in_pass[0][before:]


class Careless(nn.Module):
    """Changes what its layers gave it in place, before and after its dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.pair = nn.ModuleList([nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 1)])
        self.late = nn.Conv2d(2, 2, 1)
        self.dropout = nn.Dropout2d(0.5)
        self.fails = False

    def forward(self, x: Tensor) -> Tensor:
        first, second = (layer(x) for layer in self.pair)
        first.relu_()
        again = self.pair[0](second)
        dropped = self.dropout(first)
        if self.fails:
            raise ZeroDivisionError
        second.add_(dropped).mul_(2)
        return self.late(second) + again


@torch.inference_mode()
def passes(network: Careless, prefix: CachedPrefix | None, seeds: range) -> list[Tensor]:
    x, out = torch.randn(2, 2, 3, 3, generator=torch.Generator().manual_seed(1)), []
    network.eval().dropout.train()
    for seed in seeds:
        torch.manual_seed(seed)
        if prefix is None:
            out.append(network(x))
        else:
            with prefix.reused():
                out.append(network(x))
    return out


def test_a_network_may_change_outputs_in_place_and_call_a_layer_twice() -> None:
    torch.manual_seed(0)
    network = Careless()
    expected = passes(network, None, range(4))
    assert not torch.equal(expected[0], expected[1])
    for whole, reused in zip(
        expected, passes(network, CachedPrefix(network), range(4)), strict=True
    ):
        assert torch.equal(whole, reused)


def test_modules_are_as_they_were_after_a_pass_and_after_an_error() -> None:
    torch.manual_seed(0)
    network = Careless()
    own = network.late.forward
    network.late.forward = own
    before = {name: set(vars(module)) for name, module in network.named_modules()}
    prefix = CachedPrefix(network)
    network.fails = True
    with pytest.raises(ZeroDivisionError):
        passes(network, prefix, range(1))
    network.fails = False
    expected = passes(network, None, range(3))
    for whole, reused in zip(expected, passes(network, prefix, range(3)), strict=True):
        assert torch.equal(whole, reused)
    assert {name: set(vars(module)) for name, module in network.named_modules()} == before
    assert network.late.forward is own


@torch.inference_mode()
def test_nothing_of_one_batch_is_left_for_the_next() -> None:
    model = tiny(mc_dropout=True)
    first, second = images(4, (32, 48)).split(2)
    list(outputs_of(model, first, CPU, passes=2).log_p_passes)
    outputs = outputs_of(model, second, CPU, passes=2, generator_seed=3)
    for number, log_p in enumerate(outputs.log_p_passes):
        assert torch.equal(log_p, whole_pass(model, outputs.inputs, 3 + number))
