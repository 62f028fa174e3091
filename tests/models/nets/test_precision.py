"""Where the network computes in bfloat16."""

import pytest
import torch

from alspec.models.nets.precision import in_bfloat16


@pytest.mark.parametrize(
    ("precision", "device", "expected"),
    [
        ("auto", "cuda", True),
        ("auto", "cpu", False),
        ("bfloat16", "cpu", True),
        ("bfloat16", "cuda", True),
        ("float32", "cuda", False),
        ("float32", "cpu", False),
    ],
)
def test_auto_is_bfloat16_on_a_gpu_alone(precision: str, device: str, expected: bool) -> None:
    assert in_bfloat16(precision, torch.device(device)) is expected
