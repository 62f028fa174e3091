"""Heads that predict in their own way, and heads of one logit, against MMSegmentation itself."""

from __future__ import annotations

from typing import Any

import pytest
from factories.decode_heads import head_config
from factories.images import images

import torch  # isort: skip

from alspec.models.inference.decoding import shifted_to_threshold
from alspec.models.inference.outputs import outputs_of
from alspec.models.nets.build import build_segmentor

CPU = torch.device("cpu")
OWN = {
    "EncHead": {"type": "EncHead", "in_channels": [64, 128], "in_index": [2, 3],
                "num_codes": 4, "use_se_loss": False},
    "DAHead": {"type": "DAHead", "in_channels": 128, "in_index": 3, "pam_channels": 8},
}  # fmt: skip


def built(head: dict[str, Any]) -> Any:
    torch.manual_seed(0)
    model: Any = build_segmentor(head_config(head), mc_dropout=False)
    torch.nn.init.normal_(model.decode_head.conv_seg.weight, std=1.0)
    return model.eval()


@pytest.mark.parametrize("name", OWN)
@torch.inference_mode()
def test_a_head_with_its_own_prediction_predicts_so(name: str) -> None:
    model = built(OWN[name])
    outputs = outputs_of(model, images(2), CPU)
    assert torch.equal(outputs.logits_BCHW, mmseg_logits(model, outputs.inputs))
    assert outputs.logits_BCHW.shape == (2, 3, 32, 48)


def mmseg_logits(model: Any, inputs: torch.Tensor) -> torch.Tensor:
    size = inputs.shape[-2:]
    about = {"ori_shape": size, "img_shape": size, "pad_shape": size, "padding_size": [0] * 4}
    return model.inference(inputs, [dict(about) for _ in inputs])


def one_logit(threshold: float) -> Any:
    head = {
        "type": "FCNHead", "in_channels": 128, "in_index": 3, "num_convs": 1, "num_classes": 2,
        "out_channels": 1, "threshold": threshold, "ignore_index": 255,
        "loss_decode": {"type": "CrossEntropyLoss", "use_sigmoid": True},
    }  # fmt: skip
    return built(head)


@pytest.mark.parametrize("threshold", [0.5, 0.3, 0.9])
@torch.inference_mode()
def test_one_logit_is_two_classes_and_its_threshold_decides(threshold: float) -> None:
    model = one_logit(threshold)
    outputs = outputs_of(model, images(2), CPU)
    middle = mmseg_logits(model, outputs.inputs).median() - torch.tensor(threshold).logit()
    model.decode_head.conv_seg.bias -= middle  # half of the pixels on either side
    logit = mmseg_logits(model, outputs.inputs)
    probability = outputs.log_p_BCHW.exp()
    assert torch.allclose(probability[:, 1:], logit.sigmoid(), atol=1e-6)
    assert torch.allclose(probability.sum(dim=1), torch.ones(()))
    expected = [s.pred_sem_seg.data[0] for s in model.postprocess_result(logit)]
    predicted = [logits[0].argmax(dim=0) for logits in outputs.logits_by_image]
    clear = (probability[:, 1] - threshold).abs() > 1e-6  # on the threshold rounding decides
    assert clear.float().mean() > 0.99
    for ours, theirs, sure in zip(predicted, expected, clear, strict=True):
        assert torch.equal(ours[sure], theirs.long()[sure])
    assert 0 < torch.stack(predicted).float().mean() < 1, "both classes, or nothing is compared"


def test_the_largest_of_several_logits_needs_no_threshold() -> None:
    model = built(OWN["DAHead"])
    logits = torch.randn(1, 3, 4, 4)
    assert shifted_to_threshold(model, logits) is logits
