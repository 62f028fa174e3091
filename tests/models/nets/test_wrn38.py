"""WRN-38 against the paper's description and the published weights' key layout."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from factories import images
from torch import nn

from alspec.errors import InputError
from alspec.models.inference.outputs import outputs_of
from alspec.models.nets.build import assemble, build_segmentor, parameter_count
from alspec.models.nets.config import model_config
from alspec.models.nets.mc_dropout import decoder_dropouts
from alspec.models.nets.weights import load_weights
from alspec.models.nets.wrn38 import WideResNet38

Shape = tuple[int, ...]

MODULES = (
    (3, (128, 128)), (3, (256, 256)), (6, (512, 512)),
    (3, (512, 1024)), (1, (512, 1024, 2048)), (1, (1024, 2048, 4096)),
)  # fmt: skip


def norm(name: str, channels: int) -> Iterator[tuple[str, Shape]]:
    for statistic in ("weight", "bias", "running_mean", "running_var"):
        yield f"{name}.0.{statistic}", (channels,)


def published() -> Iterator[tuple[str, Shape]]:
    """Names and shapes of the published ImageNet weights, written from their description."""
    yield "mod1.conv1.weight", (64, 3, 3, 3)
    width = 64
    for number, (blocks, channels) in enumerate(MODULES, start=2):
        for block in range(1, blocks + 1):
            at = f"mod{number}.block{block}"
            yield from norm(f"{at}.bn1", width)
            kernels = (3, 3) if len(channels) == 2 else (1, 3, 1)
            source = width
            for place, (out, kernel) in enumerate(zip(channels, kernels, strict=True), start=1):
                if place > 1:
                    yield from norm(f"{at}.convs.bn{place}", source)
                yield f"{at}.convs.conv{place}.weight", (out, source, kernel, kernel)
                source = out
            if width != channels[-1]:
                yield f"{at}.proj_conv.weight", (channels[-1], width, 1, 1)
            width = channels[-1]
    yield from norm("bn_out", width)
    yield "classifier.fc.weight", (1000, width)
    yield "classifier.fc.bias", (1000,)


def file_of(folder: Path, layout: dict[str, Shape]) -> Path:
    """A file in the published form; every tensor is one number, stored once."""
    tensors = {
        f"module.{name}": torch.tensor(float(number)).expand(shape)
        for number, (name, shape) in enumerate(layout.items())
    }
    path = folder / "wider_resnet38.pth.tar"
    torch.save({"state_dict": tensors, "epoch": 90, "arch": "wider_resnet38_a2"}, path)
    return path


def on_meta() -> WideResNet38:
    with torch.device("meta"):
        return WideResNet38()


def whole_on_meta(*, mc_dropout: bool, name: str = "deeplabv3plus_wrn38") -> nn.Module:
    with torch.device("meta"):
        model: nn.Module = assemble(model_config(name, 19), mc_dropout=mc_dropout)
    return model


def test_parameter_counts() -> None:
    backbone = parameter_count(on_meta())
    described = sum(
        torch.Size(shape).numel()
        for name, shape in published()
        if "running" not in name and "classifier" not in name
    )
    separable = 3 * (4096 * 9 + 2 * 4096 + 4096 * 256 + 512)
    aspp = 2 * (4096 * 256 + 512) + separable + 5 * 256 * 256 * 9 + 512
    low_level = 128 * 48 + 2 * 48
    refining = sum(width * 9 + 2 * width + width * 256 + 512 for width in (304, 256))
    decoder = aspp + low_level + refining + 256 * 19 + 19
    assert backbone == described == 105_070_912
    assert parameter_count(whole_on_meta(mc_dropout=False)) == backbone + decoder == 113_562_819


def test_parameter_count_of_the_dense_decoder() -> None:
    """137.1 M; the last norm is not there, and ASPP and low level are brought together plainly."""
    aspp = 2 * (4096 * 256 + 512) + 3 * (4096 * 256 * 9 + 512) + 5 * 256 * 256
    refining = sum(width * 256 * 9 + 512 for width in (304, 256))
    decoder = aspp + 128 * 48 + refining + 256 * 19 + 19
    model = whole_on_meta(mc_dropout=False, name="deeplabv3plus_wrn38_dense")
    backbone = 105_070_912 - 2 * 4096
    assert parameter_count(model) == backbone + decoder == 137_103_955


def test_the_dense_decoder_predicts_at_stride_2_drops_and_has_features() -> None:
    """With a narrow backbone in place of WRN-38, whose forward pass takes seconds."""
    config = model_config("deeplabv3plus_tiny", 3)
    config["decode_head"]["type"] = "DenseASPPHead"
    model: Any = build_segmentor(config, mc_dropout=True).eval()
    assert len(decoder_dropouts(model)) == 3
    made = outputs_of(model, images.images(2), torch.device("cpu"), passes=2)
    assert made.log_p_BCHW.shape == (2, 3, 32, 48)
    assert made.features_BD.shape == (2, 48)
    first, second = made.log_p_passes
    assert not torch.equal(first, second)
    with torch.no_grad():
        level = torch.relu(torch.randn(1, 16, 16, 24))
        assert (model.decode_head.c1_bottleneck(level) < 0).any(), "an activation follows"


def test_output_stride_is_8_and_the_decoder_gets_stride_2() -> None:
    with torch.no_grad():
        low_level, top = on_meta().eval()(torch.empty(2, 3, 256, 512, device="meta"))
    assert low_level.shape == (2, 128, 128, 256)
    assert top.shape == (2, 4096, 32, 64)


def test_dilations_and_dropout_stand_where_the_paper_has_them() -> None:
    backbone = on_meta()
    dilations = {
        number: {
            module.dilation[0]
            for module in getattr(backbone, f"mod{number}").modules()
            if isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3)
        }
        for number in range(2, 8)
    }
    assert dilations == {2: {1}, 3: {1}, 4: {1}, 5: {2}, 6: {4}, 7: {4}}
    rates = {name: module.p for name, module in backbone.named_modules() if "dropout" in name}
    assert rates == {"mod6.block1.convs.dropout": 0.3, "mod7.block1.convs.dropout": 0.5}


@pytest.mark.parametrize(("asked", "layers"), [(False, 0), (True, 3)])
def test_dropout_layers_in_the_decoder(asked: bool, layers: int) -> None:
    active = [layer for layer in decoder_dropouts(whole_on_meta(mc_dropout=asked)) if layer.p > 0]
    assert len(active) == layers
    assert {layer.p for layer in active} <= {0.1}


def test_published_weights_fill_a_backbone_without_its_last_norm(tmp_path: Path) -> None:
    with torch.device("meta"):
        backbone = WideResNet38(bn_out=False)
    match = load_weights(
        backbone.to_empty(device="cpu"), file_of(tmp_path, dict(published())), ("module.",)
    )
    assert match.unused == 4 + 2  # the norm's, the classifier's


def test_published_weights_fill_every_parameter_of_the_backbone(tmp_path: Path) -> None:
    layout = dict(published())
    backbone = on_meta().to_empty(device="cpu")
    load_weights(backbone, file_of(tmp_path, layout), ("module.", "backbone."))
    numbers = {name: float(number) for number, name in enumerate(layout)}
    loaded = {
        name: tensor
        for name, tensor in backbone.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    assert loaded.keys() == {name for name in layout if "classifier" not in name}
    for name, tensor in loaded.items():
        assert float(tensor.min()) == float(tensor.max()) == numbers[name], name


@pytest.mark.parametrize("fault", ["missing", "misshapen"])
def test_a_file_that_does_not_fit_names_the_weight(tmp_path: Path, fault: str) -> None:
    layout = dict(published())
    name = "mod4.block2.convs.bn2.0.running_var"
    if fault == "missing":
        del layout[name]
    else:
        layout[name] = (511,)
    path = file_of(tmp_path, layout)
    with pytest.raises(InputError, match=name.replace(".", r"\.")) as caught:
        load_weights(on_meta(), path, ("module.", "backbone."))
    assert str(path) in str(caught.value)


class Payload:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return Path.touch, (self.marker,)


def test_a_pickle_is_never_run(tmp_path: Path) -> None:
    marker, path = tmp_path / "ran", tmp_path / "evil.pth"
    torch.save({"state_dict": Payload(marker)}, path)
    config = model_config("deeplabv3plus_tiny", 3)
    with pytest.raises(InputError, match="no state dict"):
        build_segmentor(config, mc_dropout=False, pretrained=path)
    assert not marker.exists()
    torch.load(path, weights_only=False)  # our own payload: shows that it is a live one
    assert marker.exists(), "the payload would have run"


def test_what_is_no_state_dict_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "list.pth"
    torch.save([torch.zeros(3)], path)
    with pytest.raises(InputError, match="no state dict"):
        build_segmentor(model_config("deeplabv3plus_tiny", 3), mc_dropout=False, checkpoint=path)
    with pytest.raises(InputError, match="cannot be read as weights"):
        build_segmentor(
            model_config("deeplabv3plus_tiny", 3),
            mc_dropout=False,
            checkpoint=tmp_path / "nowhere.safetensors",
        )


@pytest.mark.slow
def test_a_real_forward_gives_logits() -> None:
    torch.manual_seed(0)
    model: Any = build_segmentor(model_config("deeplabv3plus_wrn38", 19), mc_dropout=True).eval()
    with torch.inference_mode():
        logits = model.decode_head(model.extract_feat(torch.randn(1, 3, 32, 64)))
    assert logits.shape == (1, 19, 16, 32)
    assert torch.isfinite(logits).all()
