"""Malformed images and masks: `alspec check` tells each with its path, before any training."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from factories.image_files import (
    GENERATOR,
    LABELS,
    RGB,
    SIZE,
    animated,
    encoded,
    exif,
    flipped,
    palette,
    png,
    with_label,
)
from PIL import Image

PNG, JPEG, MASK = encoded(RGB), encoded(RGB, "JPEG", quality=95), encoded(LABELS)
NOISE = GENERATOR.integers(0, 256, 400, np.uint8).tobytes()

# where the file goes, what stands in it, what is said of it
IMAGE, JPG, LABEL = "train/s_1.png", "train/s_2.jpg", "trainannot/s_1.png"
CONTENTS = {
    "an empty image": (IMAGE, b"", "empty or not an image"),
    "a PNG of 4 bytes": (IMAGE, PNG[:4], "not an image"),
    "a PNG cut in its header": (IMAGE, PNG[:20], "truncated|not an image"),
    "a PNG cut in its pixels": (IMAGE, PNG[: len(PNG) // 2], "truncated"),
    "a PNG cut near its end": (IMAGE, PNG[:-40], "truncated"),
    "a PNG with a flipped byte": (IMAGE, flipped(PNG, 100), "damaged"),
    "a PNG whose rows are too few": (IMAGE, png(16, 16, 8, 2, b"\0" * 60), "truncated"),
    "a PNG of no size": (IMAGE, png(0, 16, 8, 2, b""), "not an image|damaged"),
    "an empty JPEG": (JPG, b"", "empty or not an image"),
    "a JPEG cut in its header": (JPG, JPEG[:30], "truncated|not an image"),
    "a JPEG cut in its tables": (JPG, JPEG[:200], "truncated|not an image"),
    "a JPEG cut in its middle": (JPG, JPEG[: len(JPEG) // 2], "truncated"),
    "a JPEG without its end": (JPG, JPEG[:-60], "truncated"),
    "text named .png": (IMAGE, b"not an image\n", "not an image"),
    "HTML named .jpg": (JPG, b"<html><body>404</body></html>", "not an image"),
    "noise named .png": (IMAGE, NOISE, "not an image"),
    "zeros named .png": (IMAGE, b"\0" * 500, "not an image"),
    "PostScript named .png": (IMAGE, b"%!PS-Adobe-3.0 EPSF-3.0\n%%EOF\n", "not an image"),
    "SVG named .png": (IMAGE, b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image"),
    "a GIF named .png": (IMAGE, encoded(RGB, "GIF"), "not an image"),
    "a numpy array named .png": (IMAGE, b"\x93NUMPY\x01\x00v\x00{'descr'", "not an image"),
    "a Git LFS pointer": (IMAGE, b"version https://git-lfs.github.com/spec/v1\n", "not an image"),
    "RGB of 16 bits": (IMAGE, png(16, 16, 16, 2, (b"\0" + b"\1\2" * 48) * 16), "16 bits"),
    "grey of 16 bits": (IMAGE, encoded(LABELS.astype(np.uint16) * 900), "16 bits"),
    "a CMYK JPEG": (JPG, encoded(RGB, "JPEG", "CMYK"), "CMYK"),
    "a LAB TIFF": (IMAGE, encoded(RGB, "TIFF", "LAB"), "mode LAB"),
    "floating-point numbers": (IMAGE, encoded(RGB[..., 0].astype(np.float32), "TIFF"), "floating"),
    "a JPEG that EXIF turns by 90": (JPG, encoded(RGB, "JPEG", exif=exif(6)), "orientation is 6"),
    "a JPEG that EXIF turns by 180": (JPG, encoded(RGB, "JPEG", exif=exif(3)), "orientation is 3"),
    "a JPEG that EXIF mirrors": (JPG, encoded(RGB, "JPEG", exif=exif(2)), "orientation is 2"),
    "a pixel bomb": (IMAGE, png(200_000, 200_000, 8, 0, b"\0"), "more than 40 million pixels"),
    "a large pixel bomb": (IMAGE, png(11_000, 10_000, 8, 0, b"\0"), "million pixels"),
    "an animated PNG": (IMAGE, animated("PNG"), "several frames"),
    "an animated WebP": (IMAGE, animated("WEBP"), "several frames"),
    "a TIFF of three pages": (IMAGE, animated("TIFF"), "several frames"),
    "an empty mask": (LABEL, b"", "empty or not an image"),
    "a mask cut short": (LABEL, MASK[:-30], "truncated|damaged"),
    "a mask that is text": (LABEL, b"0 1 2", "not an image"),
    "a mask in RGB": (LABEL, encoded(RGB), "class ids"),
    "a mask in RGBA": (LABEL, encoded(RGB, mode="RGBA"), "class ids"),
    "a mask with alpha": (LABEL, encoded(LABELS, mode="LA"), "class ids"),
    "a mask of floats": (LABEL, encoded(LABELS.astype(np.float32), "TIFF"), "class ids"),
    "a mask with another value": (LABEL, encoded(with_label(3)), "values 3 "),
    "a mask of 255 that means 254": (LABEL, encoded(with_label(254)), "values 254 "),
    "a 16-bit mask out of range": (LABEL, encoded(with_label(3).astype(np.uint16) * 300), "300"),
    "a palette mask out of range": (LABEL, palette(with_label(77)), "values 77 "),
    "a mask too low": (LABEL, encoded(LABELS[:8]), "8x16"),
    "a mask too narrow": (LABEL, encoded(LABELS[:, :15]), "16x15"),
    "a mask of twice the size": (LABEL, encoded(np.tile(LABELS, (2, 2))), "32x32"),
    "a mask turned by EXIF": (LABEL, encoded(LABELS, exif=exif(6)), "orientation"),
    "an animated mask": (LABEL, encoded(LABELS, save_all=True, append_images=[
        Image.fromarray(with_label(2))]), "frames|animated"),
}  # fmt: skip


def unlink(name):
    def breaks(tree):
        (tree / name).unlink()

    return breaks


def link(name, target):
    def breaks(tree):
        (tree / name).unlink(missing_ok=True)
        (tree / name).symlink_to(target)

    return breaks


def folder(name, inside=None):
    def breaks(tree):
        (tree / name).unlink(missing_ok=True)
        (tree / name).mkdir()
        if inside:
            (tree / name / inside).write_bytes(PNG)

    return breaks


def copy(name, new):
    def breaks(tree):
        target = tree / os.fsdecode(new)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((tree / name).read_bytes())

    return breaks


def shut(name):
    def breaks(tree):
        if os.geteuid() == 0:
            pytest.skip("root reads everything")
        (tree / name).chmod(0)

    return breaks


def pipe(name):
    def breaks(tree):
        (tree / name).unlink()
        os.mkfifo(tree / name)

    return breaks


def swap_folders(tree):
    (tree / JPG).unlink()
    (tree / "trainannot/s_2.png").unlink()
    (tree / "train").rename(tree / "x")
    (tree / "trainannot").rename(tree / "train")
    (tree / "x").rename(tree / "trainannot")


def empty(name):
    def breaks(tree):
        for path in (tree / name).iterdir():
            path.unlink()

    return breaks


TREES = {
    "a mask without its image": (unlink(IMAGE), "trainannot/s_1.png: this mask has no image"),
    "an image without its mask": (unlink(LABEL), "train/s_1.png: this image has no mask"),
    "a val image without its mask": (unlink("valannot/s_0.png"), "val/s_0.png: this image has"),
    "an image twice": (copy(IMAGE, "train/s_1.jpg"), "train/s_1.png: it has the same name"),
    "a mask twice": (copy(LABEL, "trainannot/s_1.tif"), "trainannot/s_1.tif: it has the same"),
    "an image and its upper case": (copy(IMAGE, "train/S_1.png"), "train/S_1.png: "),
    "a suffix in upper case twice": (copy(IMAGE, "train/s_1.PNG"), "s_1.png: it has the same name"),
    "an image linked to itself": (link(IMAGE, "s_1.png"), "train/s_1.png"),
    "a mask linked to nothing": (link(LABEL, "/nowhere/at/all.png"), "trainannot/s_1.png"),
    "an image linked to nothing": (link("train/new.png", "gone.png"), "train/new.png"),
    "two links in a circle": (link("train/new.png", "new.png"), "train/new.png"),
    "a folder in an image's place": (folder(IMAGE), "trainannot/s_1.png: this mask has no image"),
    "a folder in a mask's place": (folder(LABEL), "train/s_1.png: this image has no mask"),
    "a file in a folder like an image": (folder(IMAGE, "s_9.png"), "train/s_1.png/s_9.png: "),
    "a pipe in an image's place": (pipe(IMAGE), "trainannot/s_1.png: this mask has no image"),
    "a name with a newline": (copy(IMAGE, "train/s\n4.png"), r"train/s\n4.png"),
    "a name with an escape": (copy(IMAGE, "train/s\x1b[31m4.png"), r"train/s\x1b[31m4.png"),
    "a name that is not UTF-8": (copy(IMAGE, b"train/s_\xff.png"), r"train/s_\udcff.png"),
    "an image nobody may read": (shut(IMAGE), "train/s_1.png"),
    "a mask nobody may read": (shut(LABEL), "trainannot/s_1.png"),
    "no images": (empty("train"), "train: no images"),
    "no masks": (empty("valannot"), "valannot: no masks"),
    "images and masks exchanged": (swap_folders, "trainannot/s_0.png: a mask has one channel"),
}


@pytest.fixture
def tree(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for split, count in (("train", 4), ("val", 2)):
        for n in range(count):
            image = tmp_path / "tree" / split / f"s_{n}{'.jpg' if n == 2 else '.png'}"
            mask = tmp_path / "tree" / f"{split}annot" / f"s_{n}.png"
            for path, data in ((image, JPEG if n == 2 else PNG), (mask, MASK)):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
    return tmp_path / "tree"


@pytest.fixture
def checked(cli, tree, toy_spec):
    """`alspec check` of the tree: exit code and what was said, without line breaks."""

    def checked():
        toy_spec["datasets"] = [
            {
                "name": "mine", "kind": "folder", "root": "tree", "image_size": [16, 16],
                "images": "train", "masks": "trainannot", "classes": ["a", "b", "c"],
                "val": {"images": "val", "masks": "valannot"},
            }
        ]  # fmt: skip
        toy_spec["budgets"] = [
            {"name": "b", "unit": "images", "initial": 1, "step": 1, "cycles": 2}
        ]
        Path("study.yaml").write_text(yaml.safe_dump(toy_spec, sort_keys=False))
        code, out, err = cli("check", "study.yaml")
        assert "Traceback" not in err
        assert not Path("work_dirs").exists()
        return code, out, "".join(err.split("\n"))

    return checked


def test_there_are_enough():
    assert len(CONTENTS) + len(TREES) >= 70


@pytest.mark.parametrize("case", CONTENTS)
def test_a_malformed_file_is_told_with_its_path(checked, tree, case):
    name, data, said = CONTENTS[case]
    assert (tree / name).is_file()
    (tree / name).write_bytes(data)
    code, out, err = checked()
    assert (code, out) == (2, "")
    assert err.count("error") == 1
    assert f"{tree / name}: " in err
    assert re.search(said, err), err


@pytest.mark.parametrize("case", TREES)
def test_a_malformed_tree_is_told_with_its_path(checked, tree, case):
    breaks, said = TREES[case]
    breaks(tree)
    code, out, err = checked()
    assert (code, out) == (2, "")
    assert said in err


FINE = {
    "unicode": "straße_日本_é",
    "decomposed unicode": "e\u0301_1",
    "spaces": " a b  c",
    "quotes": "a'b\"c",
    "percent and hash": "50%#1?",
    "a leading dash": "-rf",
    "brackets": "[bold]x[/bold]",
    "braces and dollar": "${HOME}_{0}",
    "commas and semicolons": "a,b;c=d",
    "a long name": "n" * 200,
    "a folder in a folder": "drive é/week 1/s",
    "dots": "a.b.c",
    "an emoji": "🚗",
}


@pytest.mark.parametrize("case", FINE)
def test_unusual_names_are_fine(checked, tree, case):
    copy(IMAGE, f"train/{FINE[case]}.png")(tree)
    copy(LABEL, f"trainannot/{FINE[case]}.png")(tree)
    code, out, err = checked()
    assert code == 0, err
    # The times of the model's trial, and no complaint.
    assert all(line.startswith("- deeplabv3plus_tiny") for line in err.splitlines()), err
    assert "7 images read" in out


GOOD = {
    "RGBA": (IMAGE, encoded(RGB, mode="RGBA")),
    "grey": (IMAGE, encoded(LABELS)),
    "a palette image": (IMAGE, encoded(RGB, mode="P")),
    "an upright EXIF image": (JPG, encoded(RGB, "JPEG", exif=exif(1))),
    "a PNG named .jpg": (JPG, PNG),
    "a mask of 16 bits": (LABEL, encoded(with_label(255).astype(np.uint16))),
    "a palette mask": (LABEL, palette(with_label(255))),
    "a mask that is all ignored": (LABEL, encoded(np.full(SIZE, 255, np.uint8))),
    "an image in another size": (IMAGE, None),
}


@pytest.mark.parametrize("case", GOOD)
def test_unusual_files_that_are_fine(checked, tree, case):
    name, data = GOOD[case]
    if data is None:
        (tree / IMAGE).write_bytes(encoded(np.tile(RGB, (3, 2, 1))))
        (tree / LABEL).write_bytes(encoded(np.tile(LABELS, (3, 2))))
    else:
        (tree / name).write_bytes(data)
    code, _, err = checked()
    assert code == 0, err
    # The times of the model's trial, and no complaint.
    assert all(line.startswith("- deeplabv3plus_tiny") for line in err.splitlines()), err
