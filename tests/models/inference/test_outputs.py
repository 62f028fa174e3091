"""What a segmentor says of images, against plain computations on the same segmentor."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from factories.images import images, tiny
from torch import nn
from torch.nn import functional as F

from alspec.acquisition.equal import Equal, EqualParams
from alspec.errors import InputError
from alspec.models.inference.outputs import outputs_of
from alspec.models.nets.build import build_segmentor
from alspec.models.nets.config import model_config

CPU = torch.device("cpu")


class LastLevel(nn.Conv2d):
    """A decode head of one convolution over the encoder's last level."""

    def forward(self, levels: list[torch.Tensor]) -> torch.Tensor:
        return super().forward(levels[-1])


class Pixelwise(nn.Module):
    """A segmentor of 1x1 convolutions: what it says of a pixel depends on that pixel alone."""

    align_corners = False

    def __init__(self) -> None:
        super().__init__()
        self.decode_head = LastLevel(3, 5, 1)
        self.scale = 0.02

    def data_preprocessor(self, data: dict[str, Any], training: bool) -> dict[str, Any]:
        assert not training
        return {"inputs": torch.stack(data["inputs"]).float() * self.scale}

    def extract_feat(self, inputs: torch.Tensor) -> list[torch.Tensor]:
        return [inputs]


@torch.inference_mode()
def test_log_probabilities_are_a_distribution_at_image_size() -> None:
    outputs = outputs_of(tiny(), images(2, (30, 44)), CPU)
    assert outputs.log_p_BCHW.shape == (2, 3, 30, 44)
    torch.testing.assert_close(outputs.log_p_BCHW.exp().sum(dim=1), torch.ones(2, 30, 44))
    assert outputs.log_p_BCHW.std() > 0.01


@torch.inference_mode()
def test_logits_are_mmseg_s_own_prediction() -> None:
    model, pixels = tiny(), images(2)
    inputs = model.data_preprocessor({"inputs": list(pixels)}, False)["inputs"]
    metas = [{"img_shape": (32, 48), "ori_shape": (32, 48), "pad_shape": (32, 48)}] * 2
    expected = model.encode_decode(inputs, metas)
    torch.testing.assert_close(outputs_of(model, pixels, CPU).logits_BCHW, expected)


@torch.inference_mode()
def test_images_are_normalised_as_rgb() -> None:
    pixels = torch.zeros((1, 3, 8, 8), dtype=torch.uint8)
    pixels[:, 0] = 255
    inputs = outputs_of(tiny(), pixels, CPU).inputs[0, :, 0, 0]
    mean, std = torch.tensor([123.675, 116.28, 103.53]), torch.tensor([58.395, 57.12, 57.375])
    torch.testing.assert_close(inputs, (torch.tensor([255.0, 0, 0]) - mean) / std)


@torch.inference_mode()
def test_the_mirror_view_is_the_mirrored_prediction_of_the_mirrored_input() -> None:
    model, pixels = tiny(), images(2)
    view = outputs_of(model, pixels, CPU).log_p_mirror_BCHW
    of_mirrored = outputs_of(model, pixels.flip(-1), CPU).log_p_BCHW
    torch.testing.assert_close(view, of_mirrored.flip(-1))
    assert not torch.allclose(view, of_mirrored, atol=1e-3)


@torch.inference_mode()
def test_equal_is_zero_for_a_mirror_symmetric_model_alone() -> None:
    torch.manual_seed(0)
    equal = Equal(EqualParams())
    symmetric = equal.score(outputs_of(Pixelwise(), images(3), CPU))
    assert symmetric.abs().max() < 1e-7
    assert equal.score(outputs_of(tiny(), images(3), CPU)).min() > 1e-6


@torch.inference_mode()
def test_features_are_the_mean_of_the_bottleneck() -> None:
    model, kept = tiny(), []
    model.decode_head.bottleneck.register_forward_hook(lambda _m, _i, out: kept.append(out))
    outputs = outputs_of(model, images(3), CPU)
    features = outputs.features_BD
    assert features.shape == (3, 48)
    expected = kept[0].numpy().mean(axis=(2, 3))
    torch.testing.assert_close(features, torch.from_numpy(expected))
    assert features.std(dim=0).max() > 0
    assert len(model.decode_head.bottleneck._forward_hooks) == 1


@torch.inference_mode()
def test_features_in_cells_are_the_means_of_the_quarters() -> None:
    model, kept = tiny(), []
    model.decode_head.bottleneck.register_forward_hook(lambda _m, _i, out: kept.append(out))
    features = outputs_of(model, images(3), CPU).features_in_cells(2)
    assert features.shape == (3, 4 * 48)
    _, _, height, width = kept[0].shape
    assert height % 2 == width % 2 == 0
    quarters = kept[0].unflatten(3, (2, -1)).unflatten(2, (2, -1)).mean(dim=(3, 5))
    torch.testing.assert_close(features, quarters.flatten(1))


@torch.inference_mode()
def test_features_of_a_head_without_a_bottleneck_are_the_encoder_s() -> None:
    torch.manual_seed(0)
    pixels = images(2)
    features = outputs_of(Pixelwise(), pixels, CPU).features_BD
    torch.testing.assert_close(features, pixels.float().mean(dim=(2, 3)) * 0.02)


@torch.inference_mode()
def test_features_of_an_encoder_with_one_level_are_its_mean() -> None:
    stub = SimpleNamespace(
        decode_head=nn.Identity(),
        extract_feat=lambda inputs: inputs,
        data_preprocessor=lambda data, training: {"inputs": torch.stack(data["inputs"]).float()},
    )
    features = outputs_of(stub, images(2), CPU).features_BD
    torch.testing.assert_close(features, images(2).float().mean(dim=(2, 3)))


@torch.inference_mode()
def test_an_image_is_judged_alone_whatever_its_batch() -> None:
    model, pixels = tiny(), images(5)
    together = outputs_of(model, pixels, CPU)
    for row in (0, 4):
        alone = outputs_of(model, pixels[row : row + 1], CPU)
        for name in ("log_p_BCHW", "log_p_mirror_BCHW", "features_BD"):
            torch.testing.assert_close(
                getattr(together, name)[row], getattr(alone, name)[0], rtol=1e-5, atol=1e-5
            )


@torch.inference_mode()
def test_a_cascade_predicts_with_its_last_head() -> None:
    config = model_config("deeplabv3plus_tiny", 3)
    shared = {
        "num_classes": 3, "norm_cfg": {"type": "BN"}, "align_corners": False,
        "loss_decode": {"type": "CrossEntropyLoss"}, "channels": 16,
    }  # fmt: skip
    config |= {
        "type": "CascadeEncoderDecoder",
        "num_stages": 2,
        "decode_head": [
            {"type": "FCNHead", "in_channels": 64, "in_index": 2, "num_convs": 1, **shared},
            {"type": "OCRHead", "in_channels": 128, "in_index": 3, "ocr_channels": 8, **shared},
        ],
    }
    torch.manual_seed(0)
    model: Any = build_segmentor(config, mc_dropout=False).eval()
    pixels = images(2)
    inputs = model.data_preprocessor({"inputs": list(pixels)}, False)["inputs"]
    metas = [{"img_shape": (32, 48), "ori_shape": (32, 48), "pad_shape": (32, 48)}] * 2
    outputs = outputs_of(model, pixels, CPU)
    torch.testing.assert_close(outputs.logits_BCHW, model.encode_decode(inputs, metas))
    assert outputs.features_BD.shape == (2, 16)


@torch.inference_mode()
def test_align_corners_is_the_segmentor_s() -> None:
    model = tiny()
    model.align_corners = True
    outputs = outputs_of(model, images(1), CPU)
    raw = model.decode_head(model.extract_feat(outputs.inputs))
    expected = F.interpolate(raw, size=(32, 48), mode="bilinear", align_corners=True)
    assert torch.equal(outputs.logits_BCHW, expected)


def test_a_head_that_returns_several_tensors_is_bad_input() -> None:
    stub = SimpleNamespace(
        decode_head=lambda levels: (levels, levels),
        extract_feat=lambda inputs: inputs,
        align_corners=False,
        data_preprocessor=lambda data, training: {"inputs": torch.stack(data["inputs"]).float()},
    )
    with pytest.raises(InputError, match="returns tuple"):
        _ = outputs_of(stub, images(1), CPU).logits_BCHW


def test_gradients_are_autograds_of_the_loss_at_the_predicted_classes() -> None:
    segmentor = tiny()
    given = images(3, (32, 48))
    with torch.inference_mode():
        gradients = outputs_of(segmentor, given, CPU).gradients_BCD
    weight = segmentor.decode_head.conv_seg.weight
    assert gradients.shape == (3, *weight.shape[:2])
    for image, expected in zip(given, gradients, strict=True):
        inputs = segmentor.data_preprocessor({"inputs": [image]}, False)["inputs"]
        logits = segmentor.decode_head(segmentor.extract_feat(inputs))
        loss = F.cross_entropy(logits, logits.argmax(dim=1))
        (gradient,) = torch.autograd.grad(loss, weight)
        torch.testing.assert_close(expected, gradient[:, :, 0, 0], rtol=1e-4, atol=1e-6)


def test_gradients_need_a_last_layer() -> None:
    pixels = images(1, (8, 8))
    with pytest.raises(InputError, match="LastLevel does not end in a 1x1 convolution"):
        _ = outputs_of(Pixelwise(), pixels, CPU).gradients_BCD
