"""The backward passes that a GPU repeats, against torch's own on the CPU."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from alspec.models.training.repeatable import _channels_first, upsampling_backward

SIZES = [
    ((4, 8), (16, 32)),
    ((3, 5), (10, 9)),
    ((1, 1), (6, 7)),
    ((8, 6), (4, 3)),
    ((5, 5), (5, 1)),
]
PROGRAM = """
import json, sys, torch
from torch.nn import functional as F
from alspec.models.training import repeatable

def gradient():
    torch.manual_seed(0)
    x = torch.randn(2, 3, 4, 8, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        y = F.interpolate(x, size=(16, 32), mode="bilinear", align_corners=False)
    y.backward(torch.randn(y.shape))
    return x.grad

before = gradient()
calls = []
own = repeatable.upsampling_backward
repeatable.upsampling_backward = lambda *given, **named: calls.append(1) or own(*given, **named)
repeatable._upsampling_repeats("CPU")
after = gradient()
print(json.dumps({"calls": len(calls), "away": float((before - after).abs().max())}))
"""


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize(("there", "wanted"), SIZES)
def test_the_gradient_of_upsampling_is_torchs(there, wanted, align_corners):
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn((2, 3, *there), generator=generator, dtype=torch.float64, requires_grad=True)
    output = F.interpolate(maps, size=wanted, mode="bilinear", align_corners=align_corners)
    gradient = torch.randn(output.shape, generator=generator, dtype=torch.float64)
    output.backward(gradient)
    found = upsampling_backward(gradient, wanted, maps.shape, align_corners)
    torch.testing.assert_close(found, maps.grad, rtol=1e-9, atol=1e-12)


def test_the_gradient_of_a_scale_factor_is_torchs():
    maps = torch.randn((1, 2, 5, 7), dtype=torch.float64, requires_grad=True)
    output = F.interpolate(maps, scale_factor=(1.7, 2.3), mode="bilinear", align_corners=False)
    output.sum().backward()
    size = output.shape[2:]
    found = upsampling_backward(torch.ones_like(output), size, maps.shape, False, 1.7, 2.3)
    torch.testing.assert_close(found, maps.grad, rtol=1e-9, atol=1e-12)


def test_half_precision_comes_back_in_half_precision():
    gradient = torch.randn((1, 2, 8, 8)).bfloat16()
    found = upsampling_backward(gradient, (8, 8), (1, 2, 4, 4), False)
    exact = upsampling_backward(gradient.double(), (8, 8), (1, 2, 4, 4), False)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, exact.bfloat16())


def test_torch_takes_it_in_the_place_of_its_own():
    """Tried in a process of its own, with the kernel of the CPU."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["calls"] == 1
    assert found["away"] <= 1e-5
    assert "Overriding" not in done.stderr


def test_pooling_is_given_channels_first_and_gives_the_same():
    pool = nn.MaxPool2d(3, 2, 1)
    maps = torch.randn((2, 4, 9, 9)).to(memory_format=torch.channels_last)
    expected = pool(maps)
    pool.register_forward_pre_hook(_channels_first)
    found = pool(maps)
    assert found.is_contiguous()
    assert torch.equal(found, expected)
