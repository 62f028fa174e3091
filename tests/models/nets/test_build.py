"""Segmentors by name and by MMSegmentation config file."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any, get_args

import mmseg
import pytest
import torch
from factories.images import images, tiny
from torch import nn

from alspec.datasets.base import IGNORE
from alspec.errors import InputError
from alspec.models.inference.outputs import outputs_of
from alspec.models.nets.build import assemble, build_segmentor, parameter_count
from alspec.models.nets.config import model_config
from alspec.spec.model import ModelName

CONFIGS = Path(mmseg.__file__).parent / ".mim" / "configs"
PSPNET = CONFIGS / "pspnet" / "pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py"
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*args: Any, **kwargs: Any) -> None:
        raise AssertionError(f"a download was tried: {args}")

    monkeypatch.setattr("socket.socket.connect", refused)
    monkeypatch.setattr("torch.hub.load_state_dict_from_url", refused)
    monkeypatch.setattr("torch.hub.download_url_to_file", refused)


def user_config(folder: Path, model: str) -> Path:
    base = folder / "base.py"
    base.write_text(
        "norm_cfg = dict(type='SyncBN', requires_grad=True)\n"
        "model = dict(type='EncoderDecoder', pretrained='open-mmlab://resnet18_v1c',\n"
        "    backbone=dict(type='ResNet', depth=18, base_channels=8, stem_channels=8,\n"
        "        norm_cfg=norm_cfg, init_cfg=dict(type='Pretrained', checkpoint='http://x/y.pth')),\n"
        "    decode_head=dict(type='FCNHead', in_channels=64, in_index=3, channels=8,\n"
        "        num_convs=2, num_classes=19, norm_cfg=norm_cfg,\n"
        "        loss_decode=dict(type='CrossEntropyLoss')),\n"
        "    auxiliary_head=[dict(type='FCNHead', in_channels=32, in_index=2, channels=8,\n"
        "        num_convs=1, num_classes=19, norm_cfg=norm_cfg)],\n"
        "    train_cfg=dict(), test_cfg=dict(mode='whole'))\n",
        "utf-8",
    )
    own = folder / "own.py"
    own.write_text(f"_base_ = './base.py'\nmodel = dict({model})\n", "utf-8")
    return own


def predicted(model: nn.Module, size: tuple[int, int] = (64, 64)) -> torch.Tensor:
    with torch.inference_mode():
        return outputs_of(model.eval(), images(2, size), CPU).logits_BCHW


SMALL = [name for name in get_args(ModelName) if "wrn38" not in name]


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("classes", [2, 19])
def test_named_models_predict_at_image_size(name: str, classes: int) -> None:
    model = build_segmentor(model_config(name, classes), mc_dropout=False)
    assert predicted(model, (32, 48)).shape == (2, classes, 32, 48)


def test_parameter_counts_of_the_small_models() -> None:
    counts = {
        name: parameter_count(build_segmentor(model_config(name, 19), mc_dropout=False))
        for name in SMALL
    }
    assert counts == {
        "deeplabv3plus_r18": 14_959_555,
        "deeplabv3plus_mnv2": 2_808_395,
        "deeplabv3plus_small": 3_372_235,
        "deeplabv3plus_tiny": 820_931,
    }


def test_frozen_parameters_are_not_counted() -> None:
    model = tiny()
    before = parameter_count(model)
    model.decode_head.conv_seg.requires_grad_(requires_grad=False)
    assert before - parameter_count(model) == 3 * 48 + 3


@pytest.mark.parametrize("classes", [2, 19])
def test_a_shipped_config_builds_with_the_dataset_s_classes(classes: int) -> None:
    config = model_config(None, classes, PSPNET)
    model: Any = build_segmentor(config, mc_dropout=False)
    assert predicted(model).shape == (2, classes, 64, 64)
    assert model.auxiliary_head.num_classes == classes
    assert not any(isinstance(module, nn.SyncBatchNorm) for module in model.modules())
    assert model.decode_head.ignore_index == IGNORE


@pytest.mark.parametrize("classes", [2, 5])
def test_a_user_s_config_with_a_base(tmp_path: Path, classes: int) -> None:
    path = user_config(tmp_path, "decode_head=dict(channels=16)")
    config = model_config(None, classes, path)
    model: Any = build_segmentor(config, mc_dropout=True)
    assert predicted(model).shape == (2, classes, 64, 64)
    assert model.decode_head.channels == 16
    assert [head.num_classes for head in model.auxiliary_head] == [classes]
    assert "http" not in json.dumps(config)
    assert "open-mmlab" not in json.dumps(config)
    assert ast.literal_eval(repr(config)) == config, "kept with the weights"


def test_a_config_that_imports_its_classes(tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text(
        "from mmseg.models.backbones import ResNet\n"
        "from mmseg.models.decode_heads import FCNHead\n"
        "from mmseg.models.losses import CrossEntropyLoss\n"
        "from mmseg.models.segmentors import EncoderDecoder\n"
        "model = dict(type=EncoderDecoder, train_cfg=dict(), test_cfg=dict(mode='whole'),\n"
        "    backbone=dict(type=ResNet, depth=18, base_channels=8, stem_channels=8),\n"
        "    decode_head=dict(type=FCNHead, in_channels=64, in_index=3, channels=8,\n"
        "        num_classes=19, loss_decode=dict(type=CrossEntropyLoss)))\n",
        "utf-8",
    )
    config = model_config(None, 3, path)
    assert config["decode_head"]["type"] == "FCNHead"
    assert predicted(build_segmentor(config, mc_dropout=False)).shape == (2, 3, 64, 64)


def test_tuples_of_a_config_stay_tuples() -> None:
    path = CONFIGS / "mobilenet_v3" / "mobilenet-v3-d8-s_lraspp_4xb4-320k_cityscapes-512x1024.py"
    config = model_config(None, 3, path)
    assert isinstance(config["backbone"]["out_indices"], tuple)
    model: Any = build_segmentor(ast.literal_eval(repr(config)), mc_dropout=False)
    assert model.num_classes == 3


def test_weights_named_deep_inside_a_config_are_left_out(tmp_path: Path) -> None:
    path = user_config(
        tmp_path,
        "backbone=dict(init_cfg=[dict(type='Kaiming', layer='Conv2d'),"
        " dict(type='Pretrained', checkpoint='http://x/y.pth')]),"
        "decode_head=dict(init_cfg=dict(type='Pretrained', checkpoint='http://x/y.pth'))",
    )
    path.write_text(
        path.read_text("utf-8").replace("backbone=dict(", "backbone=dict(_delete_=False,")
    )
    config = model_config(None, 3, path)
    assert config["backbone"]["init_cfg"] == [{"type": "Kaiming", "layer": "Conv2d"}]
    assert "init_cfg" not in config["decode_head"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model = dict(", "cannot be read"),
        ("_base_ = './nowhere.py'\n", "cannot be read"),
        ("optimizer = dict(type='SGD')\n", "no `model`"),
        ("model = dict(type='EncoderDecoder')\n", "decode_head"),
        ("model = dict(decode_head=dict(act=print))\n", "plain data"),
        (
            "model = dict(decode_head=dict(loss_decode=dict(type='CrossEntropyLoss', "
            "class_weight=[1.0, 2.0])))\n",
            "2 class weights, but the dataset has 3 classes",
        ),
    ],
)
def test_a_broken_config_is_bad_input(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "broken.py"
    path.write_text(text, "utf-8")
    with pytest.raises(InputError, match=words) as caught:
        model_config(None, 3, path)
    assert str(path) in str(caught.value)


def test_a_config_that_builds_nothing_is_bad_input(tmp_path: Path) -> None:
    config = model_config(None, 3, user_config(tmp_path, "decode_head=dict(type='NoSuchHead')"))
    with pytest.raises(InputError, match="NoSuchHead"):
        build_segmentor(config, mc_dropout=False)


def test_a_checkpoint_of_the_whole_segmentor_is_restored(tmp_path: Path) -> None:
    source, path = tiny(seed=1), tmp_path / "whole.pth"
    torch.save({"state_dict": source.state_dict()}, path)
    loaded = build_segmentor(
        model_config("deeplabv3plus_tiny", 3), mc_dropout=True, checkpoint=path
    )
    assert torch.equal(predicted(loaded), predicted(source))


def test_backbone_weights_come_out_of_a_whole_checkpoint_too(tmp_path: Path) -> None:
    source, path = tiny(seed=1), tmp_path / "whole.pth"
    torch.save(source.state_dict(), path)
    loaded: Any = build_segmentor(
        model_config("deeplabv3plus_tiny", 3), mc_dropout=False, pretrained=path
    )
    for name, tensor in source.backbone.state_dict().items():
        assert torch.equal(loaded.backbone.state_dict()[name], tensor), name
    assert not torch.equal(loaded.decode_head.conv_seg.weight, source.decode_head.conv_seg.weight)


@pytest.mark.parametrize("mc_dropout", [False, True])
def test_a_segmentor_without_drawn_weights_takes_all_of_them_from_another(mc_dropout: bool) -> None:
    torch.manual_seed(3)
    config = model_config("deeplabv3plus_tiny", 4)
    drawn = build_segmentor(config, mc_dropout=mc_dropout)
    before = torch.get_rng_state()
    bare = assemble(config, mc_dropout=mc_dropout, random_init=False)
    assert torch.equal(torch.get_rng_state(), before)
    for tensor in bare.state_dict().values():  # whatever was in memory
        tensor.fill_(torch.nan if tensor.is_floating_point() else 0)
    bare.load_state_dict(drawn.state_dict())
    assert torch.equal(predicted(bare), predicted(drawn))
    assert nn.Conv2d(1, 1, 3).weight.isfinite().all()
    assert not torch.equal(torch.get_rng_state(), before)  # layers draw again
