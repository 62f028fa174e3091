"""JPEGs that decode with data lost are found; whole ones, and other files, are not."""

import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from alspec.datasets.files.jpeg_warnings import JpegWarnings


@pytest.fixture(scope="module")
def whole():
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    Image.fromarray(noise).save(buffer, "JPEG")
    return buffer.getvalue()


def written(path, data):
    path.write_bytes(data)
    return str(path)


def test_lost_data_are_told_where_pillow_says_nothing(tmp_path, whole):
    cut = whole[: len(whole) // 2] + whole[-2:]
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0x5A
    flipped[len(whole) // 2 + 1] ^= 0xFF
    for data in (cut, bytes(flipped)):
        Image.open(io.BytesIO(data)).load()
    with JpegWarnings() as warnings:
        assert "premature end" in warnings.of(written(tmp_path / "cut.jpg", cut))
        assert "Corrupt JPEG data" in warnings.of(written(tmp_path / "bits.JPEG", bytes(flipped)))
        assert warnings.of(written(tmp_path / "whole.jpg", whole)) == ""
        assert (
            warnings.of(written(tmp_path / "a few bytes\n.jpg", whole[:-2] + b"12" + whole[-2:]))
            == ""
        )
        assert warnings.of(written(tmp_path / "none.png", cut)) == ""
        assert warnings.of(str(tmp_path / "missing.jpg")) == ""


def test_answers_belong_to_their_files(tmp_path, whole):
    cut = whole[: len(whole) // 2] + whole[-2:]
    paths = [written(tmp_path / f"{n}.jpg", cut if n % 3 else whole) for n in range(60)]
    with JpegWarnings() as warnings, ThreadPoolExecutor(4) as pool:
        said = list(pool.map(warnings.of, paths))
    assert [bool(text) for text in said] == [bool(n % 3) for n in range(60)]


def test_without_processes_nothing_is_said(tmp_path, whole, monkeypatch):
    monkeypatch.setattr("alspec.system.interpreter.sys.executable", "/none")
    with JpegWarnings() as warnings:
        assert warnings.of(written(tmp_path / "a.jpg", whole)) == ""
