"""mmseg imports without mmcv's compiled ops, and leaves no trace of the stand-in."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

SCRIPT = """
import sys, warnings
warnings.simplefilter("ignore")
from alspec.models.nets import compat
import mmseg.models
assert "mmcv._ext" not in sys.modules, "the stand-in is still there"
from mmcv.ops import deform_conv2d
import torch
from mmcv.ops.point_sample import point_sample
from mmcv.ops import PSAMask
try:
    PSAMask("collect", (3, 3))(torch.zeros(1, 9, 3, 3))
except RuntimeError as err:
    print(err)
from mmengine.registry import DefaultScope
print(DefaultScope.get_current_instance().scope_name)
"""


@pytest.mark.skipif(
    importlib.util.find_spec("mmcv._ext") is not None, reason="this mmcv has its compiled ops"
)
def test_mmseg_imports_without_the_ops_and_a_missing_one_says_so() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    error, scope = done.stdout.strip().splitlines()[-2:]
    assert "psamask_forward" in error
    assert "mmcv-lite does not have" in error
    assert scope == "mmseg"
