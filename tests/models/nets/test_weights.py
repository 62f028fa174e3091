"""Weights that no training made are refused when they are read, by name and reason."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from alspec.errors import InputError
from alspec.models.nets.weights import load_weights


def module() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda t: t.masked_fill(t == t.flatten()[0], math.nan), r"1 \(0\.weight\) .*NaN or inf"),
        (lambda t: t / 0, r"1 \(0\.weight\) .*NaN or inf"),
        (lambda t: (100 * t).to(torch.int8), r"1 \(0\.weight\) of whole numbers"),
        (lambda t: (100 * t).to(torch.int64), r"1 \(0\.weight\) of whole numbers"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(tmp_path: Path, suffix, harm, said) -> None:
    state = module().state_dict()
    state["0.weight"] = harm(state["0.weight"])
    path = tmp_path / f"w{suffix}"
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    own = module()
    before = {name: tensor.clone() for name, tensor in own.state_dict().items()}
    with pytest.raises(InputError, match=said):
        load_weights(own, path, ())
    assert all(torch.equal(tensor, before[name]) for name, tensor in own.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_taken(tmp_path: Path, dtype) -> None:
    state = {
        name: tensor.to(dtype) if tensor.is_floating_point() else tensor
        for name, tensor in module().state_dict().items()
    }
    torch.save(state, tmp_path / "w.pth")
    own = module()
    load_weights(own, tmp_path / "w.pth", ())
    assert torch.equal(own.state_dict()["0.weight"], state["0.weight"].float())
