"""JPEGs that decode with data lost are found; whole ones, and other files, are not."""

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from alspec.datasets.files.decoding import pillow_resize, read_rgb
from alspec.datasets.files.jpeg_decoder import JpegDecoder


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
    harmless = whole[:-2] + b"12" + whole[-2:]
    with JpegDecoder((16, 16)) as jpegs:
        assert "premature end" in jpegs.decode(written(tmp_path / "cut.jpg", cut)).lost
        assert (
            "Corrupt JPEG data" in jpegs.decode(written(tmp_path / "b.JPEG", bytes(flipped))).lost
        )
        assert jpegs.decode(written(tmp_path / "a few bytes\n.jpg", harmless)).lost == ""
        assert jpegs.decode(written(tmp_path / "none.png", cut)) is None
        assert jpegs.decode(str(tmp_path / "missing.jpg")) is None


def test_what_is_too_large_is_not_decoded(tmp_path, whole, monkeypatch):
    monkeypatch.setattr("alspec.datasets.files.jpeg_decoder.MAX_PIXELS", 64 * 96 - 1)
    with JpegDecoder((16, 16)) as jpegs:
        assert jpegs.decode(written(tmp_path / "a.jpg", whole)) is None


@pytest.mark.parametrize("how", [{}, {"quality": 30, "progressive": True}, {"subsampling": 0}])
def test_what_is_decoded_is_what_pillow_reads(tmp_path, how):
    rng = np.random.default_rng(1)
    smooth = Image.fromarray(rng.integers(0, 255, (9, 12, 3), np.uint8)).resize((101, 67))
    for mode in ("RGB", "L"):
        path = tmp_path / f"{mode}.jpg"
        smooth.convert(mode).save(path, **how)
        with JpegDecoder((16, 16)) as jpegs:
            found = jpegs.decode(str(path))
        assert (found.size, found.lost, found.flawless) == ((67, 101), "", True)
        assert (found.thumbnail == pillow_resize(read_rgb(path), (16, 16))).all()
        assert found.sha256 == hashlib.sha256(path.read_bytes()).digest()


def test_answers_belong_to_their_files(tmp_path, whole):
    cut = whole[: len(whole) // 2] + whole[-2:]
    paths = [written(tmp_path / f"{n}.jpg", cut if n % 3 else whole) for n in range(60)]
    with JpegDecoder((16, 16)) as jpegs, ThreadPoolExecutor(4) as pool:
        found = list(pool.map(jpegs.decode, paths))
    assert [bool(each.lost) for each in found] == [bool(n % 3) for n in range(60)]


def test_without_processes_nothing_is_decoded(tmp_path, whole, monkeypatch):
    monkeypatch.setattr("alspec.system.interpreter.sys.executable", "/none")
    with JpegDecoder((16, 16)) as jpegs:
        assert jpegs.decode(written(tmp_path / "a.jpg", whole)) is None
