"""mmengine imports although yapf's cached grammars are half written."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
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


pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="XDG_CACHE_HOME decides on Linux alone"
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Path, bytes]]:
    """The grammars as a first import of MMEngine caches them, in a cache of this module's."""
    cache = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache))
        assert _import(cache, "import mmengine").returncode == 0
        found = {path: path.read_bytes() for path in cached_grammars()}
        assert len(found) == 2
        yield found


def _cut(whole: dict[Path, bytes], kept: int) -> Path:
    """Leave so many bytes of each; the cache they are in."""
    for path, data in whole.items():
        path.write_bytes(data[:kept])
    return Path(os.environ["XDG_CACHE_HOME"])


def test_mmengine_alone_fails_on_a_half_written_grammar(whole: dict[Path, bytes]) -> None:
    """Once it does not, this module's subject can go."""
    assert _import(_cut(whole, 100), "import mmengine").returncode != 0


@pytest.mark.parametrize("kept", [0, 1, 5_000], ids="{} bytes written".format)
def test_a_half_written_grammar_is_replaced(whole: dict[Path, bytes], kept: int) -> None:
    done = _import(_cut(whole, kept), "from alspec.models.nets import own_config")
    assert done.returncode == 0, done.stderr
    assert {path: len(path.read_bytes()) for path in cached_grammars()} == {
        path: len(data) for path, data in whole.items()
    }
