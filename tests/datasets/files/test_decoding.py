from __future__ import annotations

import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from alspec.datasets.files import decoding as pixels
from alspec.datasets.files.decoding import pillow_resize, pillow_resize_mask, read_labels, read_rgb
from alspec.errors import DataError, ExitCode


@pytest.fixture
def colours():
    return np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)


def saved(path, array, mode=None, **options):
    image = Image.fromarray(array)
    (image if mode is None else image.convert(mode)).save(path, **options)
    return path


def refused(read, path):
    with pytest.raises(DataError) as caught:
        read(path)
    assert caught.value.exit_code is ExitCode.BAD_INPUT
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif"])
def test_lossless_files_come_back_as_they_were(tmp_path, colours, suffix):
    read = read_rgb(saved(tmp_path / f"a.{suffix}", colours))
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, colours)


def test_grey_becomes_rgb(tmp_path, colours):
    grey = colours[..., 0]
    np.testing.assert_array_equal(
        read_rgb(saved(tmp_path / "a.png", grey)), np.dstack([grey, grey, grey])
    )


def test_palette_and_alpha_become_rgb(tmp_path, colours):
    alpha = np.dstack([colours, np.full(colours.shape[:2], 7, np.uint8)])
    np.testing.assert_array_equal(read_rgb(saved(tmp_path / "a.png", alpha)), colours)
    flat = np.full((4, 4, 3), (10, 200, 30), np.uint8)
    image = Image.fromarray(flat).convert("P", palette=Image.Palette.ADAPTIVE)
    image.save(tmp_path / "p.png", transparency=b"\x00\x7f")
    np.testing.assert_array_equal(read_rgb(tmp_path / "p.png"), flat)


@pytest.mark.parametrize("turned", [3, 6, 8])
def test_an_image_that_exif_rotates_is_refused(tmp_path, colours, turned):
    exif = Image.Exif()
    exif[0x0112] = turned
    path = saved(tmp_path / "a.jpg", colours, exif=exif)
    assert f"orientation is {turned}" in refused(read_rgb, path)


def test_an_upright_exif_image_is_read(tmp_path, colours):
    exif = Image.Exif()
    exif[0x0112] = 1
    assert read_rgb(saved(tmp_path / "a.jpg", colours, exif=exif)).shape == colours.shape


def test_cmyk_and_deep_images_are_refused(tmp_path, colours):
    assert "CMYK" in refused(read_rgb, saved(tmp_path / "a.jpg", colours, "CMYK"))
    deep = colours[..., 0].astype(np.uint16) * 256
    assert "16 bits" in refused(read_rgb, saved(tmp_path / "b.png", deep))
    floats = np.ones((4, 4), np.float32)
    assert "floating" in refused(read_rgb, saved(tmp_path / "c.tif", floats))


def png(width, height, depth, colour_type, rows):
    def chunk(name, body):
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def test_rgb_of_16_bits_is_refused_although_pillow_shows_8(tmp_path):
    (tmp_path / "a.png").write_bytes(png(1, 1, 16, 2, b"\0" + b"\1\2" * 3))
    assert "16 bits" in refused(read_rgb, tmp_path / "a.png")


def test_damaged_files_are_data_errors_and_no_warnings(tmp_path, colours):
    whole = saved(tmp_path / "whole.jpg", np.tile(colours, (20, 20, 1))).read_bytes()
    for name, content in {
        "empty.jpg": b"",
        "text.png": b"this is no image",
        "half.jpg": whole[: len(whole) // 2],
        "head.jpg": whole[:40],
        "rows.png": png(4, 4, 8, 2, b"\0\1\2"),
        "bomb.png": png(200_000, 200_000, 8, 0, b"\0"),
        "big.png": png(11_000, 10_000, 8, 0, b"\0"),
    }.items():
        (tmp_path / name).write_bytes(content)
        for read in (read_rgb, read_labels):
            refused(read, tmp_path / name)
    assert "pixels" in refused(read_rgb, tmp_path / "bomb.png")
    assert "pixels" in refused(read_rgb, tmp_path / "big.png")
    refused(read_rgb, tmp_path / "missing.png")
    refused(read_rgb, tmp_path)


def test_every_cut_of_a_file_is_read_or_refused(tmp_path, colours):
    for suffix in ("png", "jpg", "tif", "bmp", "webp"):
        whole = saved(tmp_path / f"whole.{suffix}", colours).read_bytes()
        for length in range(0, len(whole), max(1, len(whole) // 40)):
            cut = tmp_path / f"cut.{suffix}"
            cut.write_bytes(whole[:length])
            try:
                found = str(read_rgb(cut).shape)
            except DataError as err:
                found = str(err)
            assert found == str(colours.shape) or str(cut) in found


def test_a_document_that_pillow_would_run_a_program_for_is_no_image(tmp_path):
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 5 5\n%%EOF\n")
    assert "not an image" in refused(read_rgb, tmp_path / "a.png")


def test_warning_filters_are_left_as_they_were(tmp_path, colours):
    path = saved(tmp_path / "a.png", colours)
    before = list(warnings.filters)
    with ThreadPoolExecutor(4) as threads:
        assert len(list(threads.map(read_rgb, [path] * 200))) == 200
    assert warnings.filters == before
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        warnings.warn("still heard", UserWarning, stacklevel=1)
    assert len(heard) == 1


def test_labels_of_grey_palette_and_16_bits(tmp_path):
    ids = np.arange(12, dtype=np.uint8).reshape(3, 4)
    np.testing.assert_array_equal(read_labels(saved(tmp_path / "l.png", ids)), ids)
    palette = Image.fromarray(ids)
    palette = palette.convert("P")
    palette.putpalette([255 - i // 3 for i in range(768)])
    palette.save(tmp_path / "p.png")
    with Image.open(tmp_path / "p.png") as again:
        assert again.mode == "P"
    np.testing.assert_array_equal(read_labels(tmp_path / "p.png"), ids)
    deep = ids.astype(np.uint16) * 1000
    read = read_labels(saved(tmp_path / "d.png", deep))
    assert read.dtype == np.uint16
    np.testing.assert_array_equal(read, deep)
    black = np.zeros((2, 2), bool)
    black[0, 1] = True
    read = read_labels(saved(tmp_path / "b.png", black))
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, black)


def test_a_coloured_mask_is_refused_with_a_hint(tmp_path, colours):
    assert "class ids" in refused(read_labels, saved(tmp_path / "a.png", colours))


def test_resize_averages_and_keeps_the_order_of_height_and_width():
    image = np.zeros((8, 16, 3), np.uint8)
    image[:, ::2] = 200
    small = pillow_resize(image, (4, 2))
    assert small.shape == (4, 2, 3)
    assert abs(small.astype(int) - 100).max() <= 4
    assert pillow_resize(image, (8, 16)) is image
    assert pillow_resize(image, (3, 5)).flags.writeable


def test_resized_masks_hold_only_values_that_were_there():
    mask = np.random.default_rng(1).choice(np.array([0, 7, 255], np.uint8), (13, 29))
    small = pillow_resize_mask(mask, (5, 40))
    assert small.shape == (5, 40)
    assert set(np.unique(small)) <= {0, 7, 255}
    tiled = np.repeat(np.repeat(mask, 3, 0), 3, 1)
    np.testing.assert_array_equal(pillow_resize_mask(tiled, mask.shape), mask)


def test_the_limit_is_stricter_than_pillow_where_pillow_only_warns():
    assert pixels.MAX_PIXELS < 2 * 89_478_485
