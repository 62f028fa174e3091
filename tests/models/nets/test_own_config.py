"""A user's MMSegmentation config: what is honoured, and what is refused by name and reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories.images import images

import torch  # isort: skip
from mmseg.registry import MODELS  # isort: skip
from mmengine.config import ConfigDict  # isort: skip

from alspec.errors import InputError
from alspec.models.nets.build import build_segmentor
from alspec.models.nets.config import model_config
from alspec.models.nets.normalisation import divisor_of
from alspec.models.nets.own_config import read_config

BACKBONE = "dict(type='ResNet', depth=18, base_channels=8, stem_channels=8)"
HEAD = "type='FCNHead', in_channels=64, channels=8, num_convs=1, concat_input=False"


def config(
    folder: Path, head: str = "num_classes=19", model: str = "", top: str = "",
    test: str = "dict(mode='whole')",
) -> Path:  # fmt: skip
    path = folder / "own.py"
    path.write_text(
        f"{top}\nmodel = dict(type='EncoderDecoder', {model}\n  backbone={BACKBONE},\n"
        f"  decode_head=dict({HEAD}, {head}),\n  test_cfg={test})\n"
    )
    return path


def refused(path: Path, classes: int = 3) -> str:
    with pytest.raises(InputError) as caught:
        build_segmentor(model_config(None, classes, path), mc_dropout=False)
    return str(caught.value)


PRE = "dict(type='SegDataPreProcessor', mean={mean}, std={std}{more})"


@pytest.mark.parametrize("order", ["bgr_to_rgb=True", "bgr_to_rgb=False", "rgb_to_bgr=True"])
@pytest.mark.parametrize("at_top", [True, False])
def test_pixels_are_normalised_as_mmsegmentation_does_with_this_file(
    tmp_path: Path, order: str, at_top: bool
) -> None:
    given = PRE.format(mean="[10., 20., 30.]", std="[2., 3., 4.]", more=f", {order}")
    place = {"top": f"data_preprocessor = {given}"} if at_top else {
        "model": f"data_preprocessor={given},"}  # fmt: skip
    path = config(tmp_path, **place)
    model: Any = build_segmentor(model_config(None, 3, path), mc_dropout=False)
    theirs = MODELS.build(ConfigDict(read_config(path).model["data_preprocessor"]))
    rgb = images(2)
    bgr = rgb.flip(1)  # as MMSegmentation reads files; both of its options exchange the bands
    expected = theirs({"inputs": list(bgr)}, False)["inputs"]
    assert torch.equal(model.data_preprocessor({"inputs": list(rgb)}, False)["inputs"], expected)
    labels = torch.zeros(2, 32, 48, dtype=torch.uint8)
    batch = {"inputs": rgb, "labels": labels}
    assert torch.allclose(model.data_preprocessor(batch, True)["inputs"], expected, atol=1e-6)


def test_a_file_without_normalisation_gets_that_of_imagenet(tmp_path: Path) -> None:
    made = model_config(None, 3, config(tmp_path))
    assert made["data_preprocessor"] == model_config("deeplabv3plus_tiny", 3)["data_preprocessor"]


REFUSED = {
    "mode='slide_flip'": {"test": "dict(mode='slide_flip')"},
    "needs `crop_size` and `stride`": {"test": "dict(mode='slide', crop_size=(8, 8))"},
    "6 bands": {"top": "data_preprocessor = " + PRE.format(mean=[1] * 6, std=[1] * 6, more="")},
    "both `mean` and `std`": {
        "top": "data_preprocessor = dict(type='SegDataPreProcessor', mean=[1, 2, 3])"
    },
    "batch_augments": {
        "top": "data_preprocessor = "
        + PRE.format(mean=[1] * 3, std=[1] * 3, more=", batch_augments=[dict(type='MixUp')]")
    },
    "is a DualInputSegDataPreProcessor": {
        "top": "data_preprocessor = dict(type='DualInputSegDataPreProcessor')"
    },
    "one logit tells two classes apart, and the dataset has 3": {
        "head": "num_classes=2, out_channels=1, "
        "loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True)"
    },
    "2 class weights, but the dataset has 3 classes": {
        "head": "num_classes=2, loss_decode=dict(type='CrossEntropyLoss', class_weight=[1., 2.])"
    },
    "reads its class weights from w.pkl": {
        "head": "num_classes=3, loss_decode=dict(type='CrossEntropyLoss', class_weight='w.pkl')"
    },
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_is_not_honoured_is_refused_by_name(tmp_path: Path, words: str) -> None:
    path = config(tmp_path, **REFUSED[words])
    said = refused(path)
    assert said.startswith(f"{path}: its ")
    assert words in said


def test_every_reason_is_given_at_once(tmp_path: Path) -> None:
    path = config(tmp_path, "num_classes=2, out_channels=1", test="dict(mode='other')")
    said = refused(path)
    assert "mode='other'" in said
    assert "out_channels=1: one logit" in said
    assert "loss without use_sigmoid=True" in said


@pytest.mark.parametrize("kind", ["MultimodalEncoderDecoder", "DepthEstimator"])
def test_other_segmentors_are_refused_by_name(tmp_path: Path, kind: str) -> None:
    path = config(tmp_path)
    path.write_text(path.read_text().replace("'EncoderDecoder'", f"'{kind}'"))
    assert f"is a {kind}" in refused(path)


def test_one_logit_of_two_classes_stays_one(tmp_path: Path) -> None:
    head = (
        "num_classes=2, out_channels=1, threshold=0.4, "
        "loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True)"
    )
    made = model_config(None, 2, config(tmp_path, head))
    model: Any = build_segmentor(made, mc_dropout=False)
    assert model.decode_head.conv_seg.weight.shape[0] == 1
    assert (model.num_classes, model.decode_head.threshold) == (2, 0.4)


def test_class_weights_reach_the_loss(tmp_path: Path) -> None:
    head = "num_classes=3, loss_decode=dict(type='CrossEntropyLoss', class_weight=[0., 0., 5.])"
    model: Any = build_segmentor(model_config(None, 3, config(tmp_path, head)), mc_dropout=False)
    logits, labels = torch.randn(1, 3, 4, 4), torch.zeros(1, 4, 4, dtype=torch.long)
    loss = model.decode_head.loss_decode
    assert loss(logits, labels, ignore_index=255) == 0
    assert loss(logits, labels + 2, ignore_index=255) > 0
    half = torch.cat([labels[:, :2] + 2, labels[:, 2:] + 255], dim=1)
    expected = torch.nn.functional.cross_entropy(logits[:, :, :2], labels[:, :2] + 2)
    assert torch.allclose(loss(logits, half, ignore_index=255), expected)


def test_heads_inside_a_head_get_the_dataset_s_classes() -> None:
    shipped = Path("configs/knet/knet-s3_r50-d8_fcn_8xb2-adamw-80k_ade20k-512x512.py")
    from alspec.plan.config_file import config_sha256

    _, path = config_sha256(shipped)
    head = model_config(None, 5, Path(path))["decode_head"]
    assert "num_classes" not in head
    assert head["kernel_generate_head"]["num_classes"] == 5
    assert [inner["num_classes"] for inner in head["kernel_update_head"]] == [5, 5, 5]


@pytest.mark.parametrize(
    ("more", "divisor"),
    [("", 1), (", size_divisor=32", 32), (", test_cfg=dict(size_divisor=16)", 16)],
)
def test_padding_that_a_config_asks_for_is_known(tmp_path: Path, more: str, divisor: int) -> None:
    given = PRE.format(mean=[1] * 3, std=[1] * 3, more=more)
    path = config(tmp_path, top=f"data_preprocessor = {given}")
    assert divisor_of(model_config(None, 3, path)) == divisor


@pytest.mark.parametrize("seed", range(4))
def test_random_configs_are_built_or_refused_in_words(tmp_path: Path, seed: int) -> None:
    """200 configs: each is built with the classes asked for, or is an InputError."""
    rng = np.random.default_rng(seed)

    def one_of(*values: Any) -> Any:
        return values[int(rng.integers(len(values)))]

    for _ in range(50):
        classes = one_of(2, 3)
        head = (
            f"num_classes={one_of(2, 19)}, out_channels={one_of(None, None, 1, 7)}, "
            f"loss_decode=dict(type='CrossEntropyLoss', use_sigmoid={one_of(True, False)}, "
            f"class_weight={one_of(None, [1.0, 2.0], [1.0] * 3, 'f.npy')})"
        )
        given = PRE.format(mean=[1] * one_of(3, 3, 1), std=[1] * one_of(3, 3, 4), more="")
        test = one_of("dict(mode='whole')", "dict(mode='slide', crop_size=(9, 9), stride=(4, 4))",
                      "dict(mode='slide')", "dict()", "None")  # fmt: skip
        path = config(tmp_path, head, top=f"data_preprocessor = {given}", test=test)
        try:
            model: Any = build_segmentor(model_config(None, classes, path), mc_dropout=False)
        except InputError:
            continue
        assert model.num_classes == classes
        assert model.out_channels in (1, classes)
