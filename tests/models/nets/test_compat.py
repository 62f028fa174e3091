"""mmseg imports without mmcv's compiled ops, and leaves no trace of the stand-in."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

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
sys.argv = ["trial"]
import runpy
runpy.run_module("alspec.run.trial", run_name="__main__")
from alspec.models.training import fit, optimizers
assert "torchvision" not in sys.modules
"""


@pytest.mark.skipif(
    importlib.util.find_spec("mmcv._ext") is not None, reason="this mmcv has its compiled ops"
)
def test_mmseg_imports_without_the_ops_and_a_missing_one_says_so(tmp_path: Path) -> None:
    """Nor does anything import a torchvision, which raises if it was made for another torch."""
    package = tmp_path / "torchvision" / "__init__.py"
    package.parent.mkdir()
    package.write_text("raise RuntimeError('operator torchvision::nms does not exist')\n")
    script = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{SCRIPT}"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    error, scope = done.stdout.strip().splitlines()[-3:-1]
    assert "psamask_forward" in error
    assert "mmcv-lite does not have" in error
    assert scope == "mmseg"
