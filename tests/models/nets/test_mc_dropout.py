"""MC-dropout: which layers draw, what stays as it was, and what a pass costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mmseg
import pytest
import torch
from factories.decode_heads import HEADS, head_config
from factories.images import images, tiny
from torch import nn

from alspec.acquisition.bald import Bald, BaldParams, mutual_information
from alspec.errors import InputError
from alspec.models.inference.outputs import BatchOutputs, outputs_of
from alspec.models.nets.build import build_segmentor
from alspec.models.nets.config import model_config
from alspec.models.nets.mc_dropout import add_decoder_dropout, decoder_dropouts, sampling

CPU = torch.device("cpu")
BATCH_NORMS = (nn.BatchNorm2d,)


def outputs(model: Any, passes: int = 4, seed: int = 7, size: tuple[int, int] = (32, 48)) -> Any:
    return outputs_of(model, images(2, size), CPU, passes=passes, generator_seed=seed)


def test_in_sampling_the_decoder_s_dropout_is_all_that_trains() -> None:
    model = tiny(mc_dropout=True)
    with sampling(model):
        training = [module for module in model.modules() if module.training]
    assert training == decoder_dropouts(model)
    assert len(training) == 3
    assert not any(module.training for module in model.modules())


def test_modes_come_back_as_they_were_after_an_error() -> None:
    model = tiny(mc_dropout=True)
    model.backbone.train()
    before = [module.training for module in model.modules()]
    with pytest.raises(ZeroDivisionError), sampling(model):
        raise ZeroDivisionError
    assert [module.training for module in model.modules()] == before
    assert any(before)
    assert not all(before)


def test_scoring_leaves_the_weights_and_running_statistics_bit_identical() -> None:
    model = tiny(mc_dropout=True)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with torch.inference_mode():
        scores = Bald(BaldParams(passes=4)).score(outputs(model))
    assert (scores > 0).all()
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert any("running_mean" in name for name in before)


def test_passes_differ_and_come_again_with_the_seed() -> None:
    model = tiny(mc_dropout=True)
    with torch.inference_mode():
        first = list(outputs(model).log_p_passes)
        again = list(outputs(model).log_p_passes)
        other = list(outputs(model, seed=8).log_p_passes)
    assert len(first) == 4
    for row in range(4):
        assert torch.equal(first[row], again[row])
        assert not torch.equal(first[row], other[row])
        assert not any(torch.equal(first[row], first[later]) for later in range(row + 1, 4))


def test_streamed_score_is_the_score_of_the_stacked_passes() -> None:
    model = tiny(mc_dropout=True)
    with torch.inference_mode():
        streamed = Bald(BaldParams(passes=4)).score(outputs(model))
        stacked = mutual_information(torch.stack(list(outputs(model).log_p_passes)))
    torch.testing.assert_close(streamed, stacked)


def test_passes_neither_depend_on_the_global_generator_nor_disturb_it() -> None:
    model = tiny(mc_dropout=True)
    with torch.inference_mode():
        expected = list(outputs(model).log_p_passes)
        torch.manual_seed(1)
        untouched = [torch.rand(3) for _ in range(4)]
        torch.manual_seed(1)
        draws = []
        for log_p, alone in zip(outputs(model).log_p_passes, expected, strict=True):
            assert torch.equal(log_p, alone)
            draws.append(torch.rand(3))
    assert all(torch.equal(*pair) for pair in zip(draws, untouched, strict=True))


def test_a_reader_that_stops_early_leaves_nothing_behind() -> None:
    model = tiny(mc_dropout=True)
    state = torch.random.get_rng_state()
    with torch.inference_mode():
        reader = iter(outputs(model).log_p_passes)
        next(reader)
        assert not any(module.training for module in model.modules())
        assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("passes", [0, 1, 5])
def test_the_encoder_runs_once_an_image_whatever_the_number_of_passes(passes: int) -> None:
    model, calls = tiny(mc_dropout=True), []
    model.backbone.register_forward_hook(lambda *_: calls.append(1))
    with torch.inference_mode():
        made: BatchOutputs = outputs(model, passes=passes)
        list(made.log_p_passes)
        assert made.log_p_BCHW is made.log_p_BCHW
        assert made.features_BD.shape == (2, 48)
    assert calls == [1]


@pytest.mark.parametrize("head", HEADS)
def test_other_heads_take_three_layers_that_all_draw(head: str) -> None:
    torch.manual_seed(0)
    model: Any = build_segmentor(head_config(HEADS[head]), mc_dropout=True).eval()
    nn.init.normal_(model.decode_head.conv_seg.weight, std=1.0)
    layers = decoder_dropouts(model)
    assert [layer.p for layer in layers if isinstance(layer, nn.Dropout2d)] == [0.1] * 3
    drawn: list[nn.Module] = []
    for layer in layers:
        layer.register_forward_hook(
            lambda module, inputs, output: (
                drawn.append(module)
                if module.training and not torch.equal(inputs[0], output)
                else None
            )
        )
    with torch.inference_mode():
        first, second = outputs(model, passes=2, size=(64, 64)).log_p_passes
    assert not torch.equal(first, second)
    assert set(drawn) == set(layers)


def test_a_head_too_small_for_three_layers_is_bad_input() -> None:
    config = head_config({**HEADS["FCNHead"], "num_convs": 1})
    with pytest.raises(InputError, match="FCNHead has 2 convolution blocks"):
        build_segmentor(config, mc_dropout=True)


def test_names_of_parameters_are_the_same_with_and_without_the_layers() -> None:
    assert tiny(mc_dropout=True).state_dict().keys() == tiny().state_dict().keys()
    model = tiny()
    add_decoder_dropout(model)
    model.eval()
    assert torch.equal(outputs(model).logits_BCHW, outputs(tiny()).logits_BCHW)


def test_a_shipped_config_s_own_dropout_is_replaced() -> None:
    home = Path(mmseg.__file__).parent / ".mim" / "configs"
    path = home / "fcn" / "fcn_r18-d8_4xb2-80k_cityscapes-512x1024.py"
    model = build_segmentor(model_config(None, 3, path), mc_dropout=True)
    assert len(decoder_dropouts(model)) == 3
