"""Backbone weights of torchvision, timm and MMSegmentation: the same numbers come out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor

from alspec.errors import InputError
from alspec.models.nets.build import MODELS, build_segmentor
from alspec.models.nets.config import model_config
from alspec.models.nets.weights import load_weights

BESIDE = Path(__file__).resolve().parents[3] / "shared" / "weights"
WEIGHTS = Path(os.environ.get("ALSPEC_MNV2_WEIGHTS") or BESIDE)
PREFIXES = ("module.", "backbone.")
BLOCKS = [
    # expansion, channels, blocks, stride at output stride 8, dilation of the first block
    (1, 16, 1, 1, 1),
    (6, 24, 2, 2, 1),
    (6, 32, 3, 2, 1),
    (6, 64, 4, 1, 2),
    (6, 96, 3, 1, 2),
    (6, 160, 3, 1, 4),
    (6, 320, 1, 1, 4),
]


def conv_norm(name: str, norm: str, shape: tuple[int, ...]) -> Iterator[tuple[str, Tensor]]:
    """Weights of a convolution and of the norm after it, their statistics included."""
    yield f"{name}.weight", torch.randn(shape) / np.sqrt(np.prod(shape[1:]))
    yield f"{norm}.weight", torch.rand(shape[0]) + 0.5
    yield f"{norm}.bias", torch.randn(shape[0]) * 0.3
    yield f"{norm}.running_mean", torch.randn(shape[0]) * 0.3
    yield f"{norm}.running_var", torch.rand(shape[0]) + 0.5
    yield f"{norm}.num_batches_tracked", torch.tensor(7)


def torchvision_mobilenet() -> dict[str, Tensor]:
    """A state dict as torchvision's `mobilenet_v2` has it, its last convolution included."""
    torch.manual_seed(3)
    state = dict(conv_norm("features.0.0", "features.0.1", (32, 3, 3, 3)))
    source, number = 32, 1
    for expansion, channels, blocks, _, _ in BLOCKS:
        for _ in range(blocks):
            at, hidden = f"features.{number}.conv", source * expansion
            last = 0
            if expansion > 1:
                state |= conv_norm(f"{at}.0.0", f"{at}.0.1", (hidden, source, 1, 1))
                last = 1
            state |= conv_norm(f"{at}.{last}.0", f"{at}.{last}.1", (hidden, 1, 3, 3))
            state |= conv_norm(f"{at}.{last + 1}", f"{at}.{last + 2}", (channels, hidden, 1, 1))
            source, number = channels, number + 1
    state |= conv_norm("features.18.0", "features.18.1", (1280, 320, 1, 1))
    return state | {"classifier.1.weight": torch.zeros(9, 1280), "classifier.1.bias": torch.ones(9)}


def in_timm_s_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same state dict as timm's `mobilenetv2_100` names it, layer by layer in order."""
    layers = ["conv_stem bn1"]
    for stage, (expansion, _, blocks, _, _) in enumerate(BLOCKS):
        kinds = ["conv_dw bn1", "conv_pw bn2"]
        if expansion > 1:
            kinds = ["conv_pw bn1", "conv_dw bn2", "conv_pwl bn3"]
        for block in range(blocks):
            layers += [
                " ".join(f"blocks.{stage}.{block}.{name}" for name in kind.split())
                for kind in kinds
            ]
    layers += ["conv_head bn2"]
    names = []
    for conv, norm in (layer.split() for layer in layers):
        statistics = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
        names += [f"{conv}.weight", *(f"{norm}.{part}" for part in statistics)]
    names += ["classifier.weight", "classifier.bias"]
    return dict(zip(names, state.values(), strict=True))


def plain_forward(state: dict[str, Tensor], x: Tensor) -> list[Tensor]:
    """Outputs of stages 2, 3, 5, 7 at output stride 8, from torchvision's names, by functions."""

    def layer(x: Tensor, name: str, norm: str, *, act: bool = True, **how: Any) -> Tensor:
        x = F.conv2d(x, state[f"{name}.weight"], **how)
        names = ("running_mean", "running_var", "weight", "bias")
        x = F.batch_norm(x, *(state[f"{norm}.{name}"] for name in names))
        return x.clamp(0, 6) if act else x

    x = layer(x, "features.0.0", "features.0.1", stride=2, padding=1)
    outputs, number = [], 1
    for stage, (expansion, channels, blocks, stride, dilation) in enumerate(BLOCKS, start=1):
        for block in range(blocks):
            at, before, last = f"features.{number}.conv", x, 0
            if expansion > 1:
                x, last = layer(x, f"{at}.0.0", f"{at}.0.1"), 1
            step, spread = (stride, dilation) if block == 0 else (1, 1)
            how = {"stride": step, "padding": spread, "dilation": spread, "groups": x.shape[1]}
            x = layer(x, f"{at}.{last}.0", f"{at}.{last}.1", **how)
            x = layer(x, f"{at}.{last + 1}", f"{at}.{last + 2}", act=False)
            if step == 1 and before.shape[1] == channels:
                x = x + before
            number += 1
        if stage in (2, 3, 5, 7):
            outputs.append(x)
    return outputs


def mobilenet(path: Path | None = None) -> Any:
    torch.manual_seed(0)
    config = model_config("deeplabv3plus_mnv2", 5)
    notes: list[str] = []
    model: Any = build_segmentor(config, mc_dropout=False, pretrained=path, note=notes.append)
    model.notes = notes
    return model.eval()


def outputs(backbone: Any, size: tuple[int, int] = (64, 96)) -> list[Tensor]:
    torch.manual_seed(1)
    backbone.eval()
    with torch.inference_mode():
        return list(backbone(torch.randn(2, 3, *size)))


def saved(folder: Path, state: dict[str, Tensor], name: str = "weights") -> Path:
    save_file(
        {name: tensor.contiguous() for name, tensor in state.items()},
        path := folder / f"{name}.safetensors",
    )
    return path


def assert_same(found: list[Tensor], expected: list[Tensor]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_torchvision_s_mobilenet_computes_what_plain_functions_do(tmp_path: Path) -> None:
    state = torchvision_mobilenet()
    path = saved(tmp_path, state)
    model = mobilenet(path)
    torch.manual_seed(1)
    expected = plain_forward(state, torch.randn(2, 3, 64, 96))
    assert [tuple(out.shape[1:]) for out in expected] == [
        (24, 16, 24),
        (32, 8, 12),
        (96, 8, 12),
        (320, 8, 12),
    ]
    assert_same(outputs(model.backbone), expected)
    words = "all 255 weights of MobileNetV2 matched in the layout of torchvision, 8 others not used"
    assert model.notes == [f"{path}: {words}"]


def test_timm_s_names_are_read(tmp_path: Path) -> None:
    state = torchvision_mobilenet()
    model = mobilenet(saved(tmp_path, in_timm_s_names(state)))
    found = outputs(model.backbone)
    torch.manual_seed(1)
    assert_same(found, plain_forward(state, torch.randn(2, 3, 64, 96)))
    assert "matched in the layout of timm, 8 others not used" in model.notes[0]


def test_mmsegmentation_s_own_names_are_read(tmp_path: Path) -> None:
    own = mobilenet(saved(tmp_path, torchvision_mobilenet()))
    expected = outputs(own.backbone)
    whole = {f"module.{name}": tensor for name, tensor in own.state_dict().items()}
    again = mobilenet(saved(tmp_path, whole, "own"))
    assert_same(outputs(again.backbone), expected)
    assert (
        "all 255 weights of MobileNetV2 matched in the layout of MMSegmentation" in again.notes[0]
    )


def test_batch_norm_statistics_and_counters_are_loaded(tmp_path: Path) -> None:
    state = torchvision_mobilenet()
    found = mobilenet(saved(tmp_path, state)).backbone.state_dict()
    for there, here in (
        ("features.1.conv.2", "layer1.0.conv.1.bn"),
        ("features.17.conv.3", "layer7.0.conv.2.bn"),
    ):
        for part in ("running_mean", "running_var", "num_batches_tracked", "weight", "bias"):
            assert torch.equal(found[f"{here}.{part}"], state[f"{there}.{part}"])


def _without(name: str) -> Any:
    def change(state: dict[str, Tensor]) -> None:
        del state[name]

    return change


def _with(name: str, *shape: int) -> Any:
    def change(state: dict[str, Tensor]) -> None:
        state[name] = torch.zeros(shape)

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_without("features.5.conv.1.1.running_var"), "1 (layer3.1.conv.1.bn.running_var) missing"),
        (_with("features.0.0.weight", 24, 3, 3, 3), "1 (conv1.conv.weight) of another shape"),
    ],
)
def test_a_half_match_is_refused_and_changes_nothing(
    tmp_path: Path, change: Any, words: str
) -> None:
    state = torchvision_mobilenet()
    change(state)
    path = saved(tmp_path, state)
    backbone = mobilenet().backbone
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    with pytest.raises(InputError) as caught:
        load_weights(backbone, path, PREFIXES)
    said = str(caught.value)
    assert words in said
    assert "254 of 255 weights match in the layout of torchvision" in said
    assert all(torch.equal(before[name], now) for name, now in backbone.state_dict().items())


@pytest.mark.parametrize("name", ["features.2.conv.9.weight", "features.2.conv.se.fc.weight"])
def test_a_block_with_other_layers_is_refused(tmp_path: Path, name: str) -> None:
    state = torchvision_mobilenet() | {name: torch.zeros(1)}
    with pytest.raises(InputError, match=r"1 \(layer2\.0\.conv\.unknown\.\S+\) of another depth"):
        load_weights(mobilenet().backbone, saved(tmp_path, state), PREFIXES)


def resnet(kind: str, depth: int) -> Any:
    torch.manual_seed(0)
    backbone = MODELS.build(
        {"type": kind, "depth": depth, "norm_cfg": {"type": "BN"}, "out_indices": (0, 1, 2, 3)}
    )
    for name, tensor in backbone.state_dict().items():
        if name.endswith(("running_mean", "bias")):
            tensor.normal_(0, 0.1)
        elif name.endswith("running_var") or (tensor.ndim == 1 and name.endswith("weight")):
            tensor.uniform_(0.5, 1.5)
    return backbone


def test_a_deeper_resnet_s_weights_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, resnet("ResNet", 34).state_dict())
    with pytest.raises(InputError, match=r"layer1\.2\.bn1\.bias, .* of another depth"):
        load_weights(resnet("ResNet", 18), path, PREFIXES)
    with pytest.raises(InputError, match=r"missing, .* of another shape"):
        load_weights(resnet("ResNet", 50), path, PREFIXES)


def test_a_plain_stem_s_weights_are_refused_by_a_deep_one(tmp_path: Path) -> None:
    path = saved(tmp_path, resnet("ResNet", 18).state_dict())
    with pytest.raises(InputError, match=r"does not fit ResNetV1c: 15 \(stem\.0\.weight"):
        load_weights(resnet("ResNetV1c", 18), path, PREFIXES)


@pytest.mark.parametrize("depth", [18, 34, 50, 101])
def test_torchvision_s_resnets(tmp_path: Path, depth: int) -> None:
    torchvision = pytest.importorskip("torchvision", reason="torchvision, an oracle, is not here")
    model = randomised(getattr(torchvision.models, f"resnet{depth}")(num_classes=7))
    path = saved(tmp_path, model.state_dict())
    backbone = resnet("ResNet", depth)
    match = load_weights(backbone, path, PREFIXES)
    assert (match.layout, match.unused) == ("torchvision, timm and MMSegmentation", 2)
    torch.manual_seed(1)
    x = torch.randn(2, 3, 64, 96)
    with torch.inference_mode():
        x = model.maxpool(model.relu(model.bn1(model.conv1(x))))
        expected = []
        for stage in (model.layer1, model.layer2, model.layer3, model.layer4):
            expected.append(x := stage(x))
    assert_same(outputs(backbone), expected)


def randomised(model: Any) -> Any:
    torch.manual_seed(5)
    for name, tensor in model.state_dict().items():
        if name.endswith("running_mean"):
            tensor.normal_(0, 0.1)
        elif name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
    return model.eval()


@pytest.mark.parametrize(
    ("name", "kind", "depth"),
    [
        ("resnet18", "ResNet", 18),
        ("resnet50", "ResNet", 50),
        ("resnet50c", "ResNetV1c", 50),
        ("resnet101c", "ResNetV1c", 101),
        ("resnet50d", "ResNetV1d", 50),
    ],
)
def test_timm_s_resnets(tmp_path: Path, name: str, kind: str, depth: int) -> None:
    timm = pytest.importorskip("timm", reason="timm, an oracle, is not here")
    model = randomised(timm.create_model(name, pretrained=False, num_classes=4))
    path = saved(tmp_path, model.state_dict())
    backbone = resnet(kind, depth)
    match = load_weights(backbone, path, PREFIXES)
    assert match.layout.startswith("timm" if kind != "ResNet" else "torchvision")
    torch.manual_seed(1)
    with torch.inference_mode():
        expected = model.forward_intermediates(
            torch.randn(2, 3, 64, 96), indices=[1, 2, 3, 4], intermediates_only=True
        )
    assert_same(outputs(backbone), expected)


def test_timm_s_mobilenet(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm", reason="timm, an oracle, is not here")
    model = randomised(timm.create_model("mobilenetv2_100", pretrained=False))
    path = saved(tmp_path, model.state_dict())
    backbone = MODELS.build({"type": "MobileNetV2", "out_indices": (0, 1, 2, 4, 6)})
    match = load_weights(backbone, path, PREFIXES)
    assert (match.layout, match.matched, match.unused) == ("timm", 255, 8)
    torch.manual_seed(1)
    with torch.inference_mode():
        x = model.bn1(model.conv_stem(torch.randn(2, 3, 64, 96)))
        expected = []
        for number, stage in enumerate(model.blocks):
            x = stage(x)
            if number in (0, 1, 2, 4, 6):
                expected.append(x)
    assert_same(outputs(backbone), expected)


def test_timm_s_deeper_mobilenet_is_refused(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm", reason="timm, an oracle, is not here")
    path = saved(tmp_path, timm.create_model("mobilenetv2_110d", pretrained=False).state_dict())
    with pytest.raises(InputError, match=r"of another depth; .* in the layout of timm"):
        load_weights(mobilenet().backbone, path, PREFIXES)


@pytest.mark.skipif(
    not (WEIGHTS / "mobilenet_v2_mmseg.safetensors").is_file(),
    reason="ImageNet's MobileNetV2 is not here; set ALSPEC_MNV2_WEIGHTS to its folder",
)
def test_imagenet_s_mobilenet_in_two_layouts() -> None:
    paths = [WEIGHTS / f"mobilenet_v2_{layout}.safetensors" for layout in ("torchvision", "mmseg")]
    first, second = (mobilenet(path) for path in paths)
    found = outputs(first.backbone)
    for one, other in zip(found, outputs(second.backbone), strict=True):
        assert torch.equal(one, other)
    torch.manual_seed(1)
    assert_same(found, plain_forward(load_file(paths[0]), torch.randn(2, 3, 64, 96)))
    assert float(found[-1].std()) > 0.01
