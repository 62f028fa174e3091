"""Blocks of pixels: they cover the image once and say what whole class maps say."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from factories.images import images, tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from alspec.acquisition.bald import Bald, BaldParams, mutual_information
from alspec.acquisition.base import Params
from alspec.acquisition.entropy import Entropy, mean_entropy
from alspec.acquisition.equal import Equal, EqualParams, js_divergence
from alspec.models.inference import row_blocks as blocks
from alspec.models.inference.outputs import outputs_of
from alspec.models.inference.row_blocks import Rows, upsampled, windows

CPU = torch.device("cpu")
QUICK = settings(derandomize=True, max_examples=60, deadline=None)
SMALL = st.integers(1, 9)


@QUICK
@given(SMALL, SMALL, SMALL, st.integers(1, 200))
def test_windows_cover_every_row_of_every_image_once(
    count: int, values: int, height: int, at_once: int
) -> None:
    seen = torch.zeros(count, height)
    shares = torch.zeros(count, dtype=torch.float64)
    for window in windows(count, values, height, at_once):
        part = seen[window.images, window.rows]
        assert part.numel() * values <= max(at_once, values)
        part += 1
        shares[window.images] += window.pixel_fraction
    assert (seen == 1).all()
    torch.testing.assert_close(shares, torch.ones_like(shares))


@QUICK
@given(SMALL, SMALL, st.integers(1, 23), st.integers(1, 23), st.booleans(), st.integers(1, 400))
def test_rows_are_those_of_the_upsampled_logits(
    h: int, w: int, height: int, width: int, align: bool, at_once: int
) -> None:
    logits = torch.randn(3, 4, h, w, generator=torch.Generator().manual_seed(h * 31 + w))
    expected = upsampled(logits, (height, width), align)
    rows = Rows(logits, (height, width), align)
    for window in windows(3, 4 * width, height, at_once):
        torch.testing.assert_close(
            rows[window], expected[window.images, :, window.rows], rtol=1e-4, atol=1e-5
        )


def test_rows_do_not_change_the_logits() -> None:
    logits = torch.randn(2, 3, 6, 8)
    before, rows = logits.clone(), Rows(logits, (6, 8), align_corners=False)
    for _ in range(2):
        for window in rows.windows():
            torch.testing.assert_close(rows[window], logits[window.images, :, window.rows])
    assert torch.equal(logits, before)


@pytest.fixture(params=[1, 1 << 10, 1 << 18])
def small_blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setitem(blocks.BLOCK_VALUES, "cpu", request.param)
    return int(request.param)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("mirror", [False, True])
@torch.inference_mode()
def test_scores_by_blocks_are_the_scores_of_whole_maps(mirror: bool) -> None:
    model = tiny(mc_dropout=True)

    def outputs() -> Any:
        return outputs_of(
            model, images(3, (30, 44)), CPU, passes=3, generator_seed=5, mirror=mirror
        )

    whole = outputs()
    close: Any = {"rtol": 1e-4, "atol": 1e-6}
    torch.testing.assert_close(
        Entropy(Params()).score(outputs()), mean_entropy(whole.log_p_BCHW), **close
    )
    torch.testing.assert_close(
        Equal(EqualParams()).score(outputs()),
        js_divergence(whole.log_p_BCHW, whole.log_p_mirror_BCHW),
        **close,
    )
    torch.testing.assert_close(
        Bald(BaldParams(passes=3)).score(outputs()),
        mutual_information(torch.stack(list(whole.log_p_passes))),
        **close,
    )


@torch.inference_mode()
def test_both_views_come_from_one_run_of_the_encoder() -> None:
    model, runs = tiny(), []
    model.backbone.register_forward_hook(lambda _m, inputs, _o: runs.append(len(inputs[0])))
    together = outputs_of(model, images(3), CPU, mirror=True)
    Equal(EqualParams()).score(together)
    assert together.features_BD.shape[0] == len(together.log_p_BCHW) == 3
    assert runs == [6]
    apart = outputs_of(model, images(3), CPU)
    for name in ("log_p_BCHW", "log_p_mirror_BCHW", "features_BD"):
        torch.testing.assert_close(
            getattr(together, name), getattr(apart, name), rtol=1e-5, atol=1e-5
        )


@torch.inference_mode()
def test_logits_by_image_are_the_batch_s() -> None:
    outputs = outputs_of(tiny(), images(3, (30, 44)), CPU)
    assert torch.equal(torch.cat(list(outputs.logits_by_image)), outputs.logits_BCHW)


@torch.inference_mode()
def test_the_image_whose_logits_are_not_finite_is_told() -> None:
    model = tiny()
    model.decode_head.register_forward_hook(
        lambda _m, _i, out: out.index_fill(0, torch.tensor(1), -torch.inf)
    )
    assert outputs_of(model, images(3), CPU).finite_B.tolist() == [True, False, True]


@torch.inference_mode()
def test_in_bfloat16_the_network_computes_so_and_the_scores_do_not() -> None:
    model, seen = tiny(), []
    model.decode_head.register_forward_hook(lambda _m, _i, out: seen.append(out.dtype))
    half = outputs_of(model, images(3), CPU, bfloat16=True)
    score = Entropy(Params()).score(half)
    assert seen == [torch.bfloat16]
    assert half.log_p_BCHW.dtype == score.dtype == torch.float32
    torch.testing.assert_close(
        score, Entropy(Params()).score(outputs_of(model, images(3), CPU)), rtol=0.02, atol=1e-3
    )
