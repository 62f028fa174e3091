"""Windows that slide over images: MMSegmentation's own `slide_inference`, everywhere it counts."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from factories.images import images, tiny

import torch  # isort: skip
from mmengine.config import ConfigDict  # isort: skip

from alspec.acquisition.bald import Bald
from alspec.acquisition.entropy import Entropy
from alspec.acquisition.equal import Equal
from alspec.models.inference.outputs import BatchOutputs, outputs_of
from alspec.models.inference.sliding import tiles

CPU = torch.device("cpu")


def sliding(
    crop: tuple[int, int] = (16, 24), stride: tuple[int, int] = (12, 16), **changes: Any
) -> Any:
    model = tiny(**changes)
    model.test_cfg = ConfigDict(mode="slide", crop_size=crop, stride=stride)
    return model


def theirs(model: Any, inputs: torch.Tensor) -> torch.Tensor:
    size = inputs.shape[-2:]
    about = {"ori_shape": size, "img_shape": size, "pad_shape": size, "padding_size": [0] * 4}
    return model.inference(inputs, [dict(about) for _ in inputs])


@pytest.mark.parametrize("seed", range(4))
@torch.inference_mode()
def test_logits_are_mmsegmentation_s_for_any_window(seed: int) -> None:
    """200 sizes, crops and strides; crops larger than the image and odd remainders among them."""
    rng = np.random.default_rng(seed)
    for _ in range(50):
        size = tuple(int(n) for n in rng.integers(17, 40, 2))
        crop = tuple(int(n) for n in rng.integers(16, 44, 2))
        stride = tuple(int(rng.integers(5, side + 1)) for side in crop)
        model = Recorder(crop, stride)
        inputs = torch.from_numpy(rng.normal(size=(2, 3, *size))).float()
        expected = theirs(model, inputs)
        calls, model.seen = model.seen, []
        assert torch.equal(BatchOutputs(model, inputs).logits_BCHW, expected)
        assert model.seen == calls, "the same windows in the same order"
        assert [(t.rows.stop - t.rows.start, t.columns.stop - t.columns.start)
                for t in tiles(size, crop, stride)] == calls  # fmt: skip


class Recorder:
    """The part of an EncoderDecoder that slides, around a network that is one product."""

    def __init__(self, crop: tuple[int, int], stride: tuple[int, int]) -> None:
        from mmseg.models import EncoderDecoder

        self.test_cfg = ConfigDict(mode="slide", crop_size=crop, stride=stride)
        self.out_channels, self.align_corners = 3, False
        self.inference = EncoderDecoder.inference.__get__(self)
        self.slide_inference = EncoderDecoder.slide_inference.__get__(self)
        self.decode_head = self.head
        self.seen: list[tuple[int, int]] = []

    def extract_feat(self, inputs: torch.Tensor) -> list[torch.Tensor]:
        self.seen.append(tuple(inputs.shape[-2:]))
        return [inputs]

    def head(self, levels: list[torch.Tensor]) -> torch.Tensor:
        return levels[0] * levels[0].mean(dim=(2, 3), keepdim=True)

    def encode_decode(self, inputs: torch.Tensor, _metas: Any) -> torch.Tensor:
        return self.head(self.extract_feat(inputs))


@torch.inference_mode()
def test_a_real_net_slides_as_in_mmsegmentation() -> None:
    model = sliding()
    outputs = outputs_of(model, images(2), CPU)
    expected = theirs(model, outputs.inputs)
    assert torch.equal(outputs.logits_BCHW, expected)
    whole = copy.copy(outputs)
    model.test_cfg = ConfigDict(mode="whole")
    assert not torch.equal(BatchOutputs(model, whole.inputs).logits_BCHW, expected)


@torch.inference_mode()
def test_entropy_and_equal_by_blocks_are_of_the_sliding_predictions() -> None:
    model = sliding()
    outputs = outputs_of(model, images(2), CPU, mirror=True)
    log_p = theirs(model, outputs.inputs).log_softmax(dim=1)
    mirrored = theirs(model, outputs.inputs.flip(-1)).flip(-1).log_softmax(dim=1)
    entropy = -(log_p.exp() * log_p).sum(dim=1).mean(dim=(1, 2))
    assert Entropy(Entropy.Params()).score(outputs) == pytest.approx(entropy.numpy(), rel=1e-5)
    middle = (log_p.exp() + mirrored.exp()) / 2
    divergence = sum(
        (p.exp() * (p - middle.log())).sum(dim=1).mean(dim=(1, 2)) / 2 for p in (log_p, mirrored)
    )
    assert Equal(Equal.Params()).score(outputs) == pytest.approx(divergence.numpy(), rel=1e-4)


@torch.inference_mode()
def test_bald_s_passes_slide_with_one_encoding_of_each_window() -> None:
    model = sliding(mc_dropout=True)
    outputs = outputs_of(model, images(2), CPU, passes=3, generator_seed=5)
    calls: list[int] = []
    model.backbone.register_forward_hook(lambda *_: calls.append(1))
    passes = list(outputs.log_p_passes)
    windows = len(tiles((32, 48), (16, 24), (12, 16)))
    assert len(calls) == windows
    for number, log_p in enumerate(passes):
        for layer in (m for m in model.decode_head.modules() if "Dropout" in type(m).__name__):
            layer.train()
        torch.manual_seed(5 + number)
        expected = theirs(model, outputs.inputs).log_softmax(dim=1)
        model.eval()
        assert torch.allclose(log_p, expected, atol=1e-6)
    scores = Bald(Bald.Params(passes=3)).score(outputs)
    together = torch.stack(passes).double().exp()
    mean = together.mean(dim=0)
    inside = -(together * together.log()).sum(dim=2).mean(dim=0)
    expected = (-(mean * mean.log()).sum(dim=1) - inside).mean(dim=(1, 2))
    assert scores == pytest.approx(expected.numpy(), rel=1e-3, abs=1e-6)


@torch.inference_mode()
def test_features_of_windows_are_averaged() -> None:
    model = sliding(crop=(16, 24), stride=(16, 24))
    features = outputs_of(model, images(2), CPU).features_BD
    quarters = []
    outputs = outputs_of(model, images(2), CPU)
    model.test_cfg = ConfigDict(mode="whole")
    for top in (0, 16):
        for left in (0, 24):
            part = outputs.inputs[..., top : top + 16, left : left + 24]
            quarters.append(BatchOutputs(model, part).features_BD)
    assert torch.allclose(features, torch.stack(quarters).mean(dim=0), atol=1e-6)
