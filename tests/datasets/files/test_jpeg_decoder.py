"""JPEGs that decode with data lost are found; whole ones, and other files, are not."""

import hashlib
import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from alspec.datasets.files.decoding import pillow_resize, read_rgb

DECODING = """
import json, sys
from alspec.datasets.files.jpeg_decoder import JpegDecoder
jpegs = JpegDecoder((16, 16))
found = [jpegs.decode(path) for path in sys.argv[1:]]
print(json.dumps([one and [one.size, one.thumbnail.tobytes().hex(), one.sha256.hex(), one.lost,
                           one.flawless] for one in found]))
"""


def decoded(paths, **environment):
    """What a process of its own decodes: size, thumbnail, SHA-256, what is lost, whether flawless.

    A decoder takes the standard error of the process that it is in.
    """
    done = subprocess.run(
        [sys.executable, "-c", DECODING, *map(str, paths)],
        capture_output=True,
        check=True,
        env={**os.environ, **environment},
    )
    assert not done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def whole():
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    Image.fromarray(noise).save(buffer, "JPEG")
    return buffer.getvalue()


def written(path, data):
    path.write_bytes(data)
    return path


def test_lost_data_are_told_where_pillow_says_nothing(tmp_path, whole):
    cut = whole[: len(whole) // 2] + whole[-2:]
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0x5A
    flipped[len(whole) // 2 + 1] ^= 0xFF
    for data in (cut, bytes(flipped)):
        Image.open(io.BytesIO(data)).load()
    harmless = whole[:-2] + b"12" + whole[-2:]
    files = {
        "cut.jpg": cut, "whole.jpg": whole, "b.JPEG": bytes(flipped), "none.png": cut,
        "a few bytes\n.jpg": harmless, "noise.jpg": b"\xff\xd8\xff" + bytes(99),
    }  # fmt: skip
    paths = [written(tmp_path / name, data) for name, data in files.items()]
    found = dict(zip(files, decoded(paths), strict=True))
    assert "premature end" in found["cut.jpg"][3]
    assert "Corrupt JPEG data" in found["b.JPEG"][3]
    assert found["whole.jpg"][3:] == ["", True], "what was said of one is not said of the next"
    assert found["a few bytes\n.jpg"][3] == ""  # OpenCV 4 complains of it, OpenCV 5 does not
    assert found["none.png"] is None
    assert found["noise.jpg"] is None
    assert decoded([tmp_path / "missing.jpg"]) == [None]
    limit = {"OPENCV_IO_MAX_IMAGE_PIXELS": str(64 * 96 - 1)}
    assert decoded([tmp_path / "whole.jpg"], **limit) == [None]


def test_what_is_decoded_is_what_pillow_reads(tmp_path):
    rng = np.random.default_rng(1)
    smooth = Image.fromarray(rng.integers(0, 255, (9, 12, 3), np.uint8)).resize((101, 67))
    paths = []
    for number, how in enumerate(
        [{}, {"quality": 30, "progressive": True}, {"subsampling": 0}, {"exif": b""}]
    ):
        for mode in ("RGB", "L"):
            paths.append(tmp_path / f"{mode}{number}.jpg")
            smooth.convert(mode).save(paths[-1], **how)
    for path, (size, small, sha256, lost, flawless) in zip(paths, decoded(paths), strict=True):
        assert (size, lost, flawless) == ([67, 101], "", True)
        assert bytes.fromhex(small) == pillow_resize(read_rgb(path), (16, 16)).tobytes()
        assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_what_pillow_would_refuse_is_not_flawless(tmp_path):
    image = Image.new("RGB", (32, 32))
    turned = Image.Exif()
    turned[0x0112] = 6
    image.save(tmp_path / "turned.jpg", exif=turned)
    image.convert("CMYK").save(tmp_path / "cmyk.jpg")
    for found in decoded([tmp_path / "turned.jpg", tmp_path / "cmyk.jpg"]):
        assert found is None or not found[4]
