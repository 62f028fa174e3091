"""What a tree of images and masks is taken for."""

import numpy as np
import pytest
import yaml
from PIL import Image

from alspec.datasets.proposal import propose_study
from alspec.spec.load import load_study
from alspec.spec.templates import template, with_values, write_spec


def image(path, size=(48, 64), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (*size, 3) if mode == "RGB" else size
    Image.fromarray(np.full(shape, 90, np.uint8)).save(path)


def mask(path, values=(0, 1, 2), size=(48, 64)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.resize(np.array(values, np.uint8), size)).save(path)


def pairs(root, images, masks, names, **kinds):
    for name in names:
        image(root / images / f"{name}.jpg", **kinds)
        mask(root / masks / f"{name}.png")


VIDEO = [f"{video}_{frame:03d}" for video in ("a", "b") for frame in range(6)]


@pytest.mark.parametrize(
    ("images", "masks", "val_images", "val_masks"),
    [
        ("train", "trainannot", "val", "valannot"),
        ("images", "masks", "val", "val_masks"),
        ("images/train", "masks/train", "images/val", "masks/val"),
        ("train/images", "train/labels", "test/images", "test/labels"),
    ],
)
def test_pairs_of_folders_are_found(tmp_path, images, masks, val_images, val_masks):
    pairs(tmp_path, images, masks, VIDEO)
    pairs(tmp_path, val_images, val_masks, ["c_1", "c_2"])
    proposal = propose_study(tmp_path, gpu=False)
    write_spec(tmp_path / "s.yaml", with_values(template("folder"), proposal.values))
    (dataset,) = load_study(tmp_path / "s.yaml").datasets
    assert (dataset.images, dataset.masks) == (images, masks)
    assert (dataset.val.images, dataset.val.masks) == (val_images, val_masks)
    assert dataset.classes == ("class_0", "class_1", "class_2")
    assert dataset.image_size == (48, 64)
    assert dataset.sequence == "^(.*)_"
    assert any("12 images in" in note for note in proposal.notes)


def test_grey_images_are_told_from_masks_by_name(tmp_path):
    for name in ("s1", "s2"):
        image(tmp_path / "scans" / f"{name}.png", mode="L")
        mask(tmp_path / "truth" / f"{name}.png")
    proposal = propose_study(tmp_path, gpu=False)
    assert (proposal.values["images"], proposal.values["masks"]) == ("scans", "truth")
    assert proposal.values["val"] == "{fraction: 0.2}"


def test_ignored_pixels_are_no_class(tmp_path):
    image(tmp_path / "images" / "a.jpg")
    mask(tmp_path / "masks" / "a.png", (0, 255))
    image(tmp_path / "images" / "b.jpg")
    mask(tmp_path / "masks" / "b.png", (1,))
    proposal = propose_study(tmp_path, gpu=False)
    assert proposal.values["classes"] == "[class_0, class_1]"
    assert any("values 0, 1, 255" in note for note in proposal.notes)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ((0, 255), {0: "class_0", 255: "class_255"}),
        ((0, 7, 9), {0: "class_0", 7: "class_7", 9: "class_9"}),
    ],
)
def test_values_with_gaps_are_named_one_by_one(tmp_path, values, named):
    for number in range(10):
        image(tmp_path / "images" / f"{number}.jpg")
        mask(tmp_path / "masks" / f"{number}.png", values)
    proposal = propose_study(tmp_path, gpu=False)
    write_spec(tmp_path / "s.yaml", with_values(template("folder"), proposal.values))
    (dataset,) = load_study(tmp_path / "s.yaml").datasets
    assert dataset.values == named


def test_a_folder_without_pairs_is_told(tmp_path):
    image(tmp_path / "frames" / "a.jpg")
    proposal = propose_study(tmp_path, gpu=False)
    assert "images" not in proposal.values
    assert any("no two folders" in note for note in proposal.notes)


def test_files_that_cannot_be_read_stop_nothing(tmp_path):
    pairs(tmp_path, "images", "masks", ["a", "b"])
    (tmp_path / "images" / "a.jpg").write_bytes(b"no image")
    mask_file = tmp_path / "masks" / "b.png"
    mask_file.write_bytes(mask_file.read_bytes()[:60])
    proposal = propose_study(tmp_path, gpu=False)
    assert proposal.values["classes"] == "[class_0, class_1, class_2]"
    assert "image_size" not in proposal.values


def test_what_a_gpu_can_do_is_left_to_the_template(tmp_path):
    pairs(tmp_path, "images", "masks", ["a"], size=(480, 640))
    values = propose_study(tmp_path, gpu=True).values
    assert yaml.safe_load(values["image_size"]) == [256, 344]
    assert "training" not in values
