"""mmengine imports although yapf's cached grammars are half written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from alspec.models.nets.yapf_cache import cached_grammars


def _import(cache: Path, script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "XDG_CACHE_HOME": str(cache)},
    )


@pytest.mark.skipif(sys.platform != "linux", reason="XDG_CACHE_HOME decides on Linux alone")
@pytest.mark.parametrize("kept", [0, 1, 100, 5_000], ids="{} bytes written".format)
def test_a_half_written_grammar_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert _import(tmp_path, "import mmengine").returncode == 0
    whole = {path: path.read_bytes() for path in cached_grammars()}
    assert len(whole) == 2
    for path, data in whole.items():
        path.write_bytes(data[:kept])

    assert _import(tmp_path, "import mmengine").returncode != 0  # yapf has no way out of it
    done = _import(tmp_path, "from alspec.models.nets import own_config")
    assert done.returncode == 0, done.stderr
    assert {path: len(path.read_bytes()) for path in cached_grammars()} == {
        path: len(data) for path, data in whole.items()
    }
