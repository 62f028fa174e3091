from __future__ import annotations

import shutil

import numpy as np
import pytest
from factories.official_trees import drawn, ids, opened, problems, save
from PIL import Image
from scipy.io import savemat

from alspec.datasets.base import Split
from alspec.errors import DataError

HOME = "VOCdevkit/VOC2012"


@pytest.fixture
def tree(tmp_path):
    return drawn("voc", tmp_path / "voc")


def listed(home, name, names):
    path = home / "ImageSets/Segmentation" / f"{name}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{each}\n" for each in names))


def mat(path, labels):
    path.parent.mkdir(parents=True, exist_ok=True)
    fields = {"Segmentation": labels, "Boundaries": np.zeros((20, 1)), "CategoriesPresent": [1]}
    savemat(path, {"GTcls": fields}, do_compression=True)


@pytest.fixture
def with_sbd(tmp_path):
    """VOC's own a (train) and v (val); SBD has a, b, c and v, as .mat."""
    home = tmp_path / "VOC2012"
    listed(home, "train", ["a"])
    listed(home, "val", ["v"])
    for name in "abcv":
        save(home / "JPEGImages" / f"{name}.jpg", np.zeros((3, 4, 3)))
        mat(tmp_path / "SBD/dataset/cls" / f"{name}.mat", np.full((3, 4), 7, np.uint8))
    for name in "av":
        save(home / "SegmentationClass" / f"{name}.png", np.full((3, 4), 2))
    (tmp_path / "SBD/dataset/train.txt").write_text("a\nb\n")
    (tmp_path / "SBD/dataset/val.txt").write_text("c\nv\n")
    return tmp_path


def test_train_aug_is_derived_from_sbd(with_sbd):
    """VOC's and SBD's images, without those that measure: 10,582 of the real ones."""
    dataset = opened("voc", with_sbd)
    assert ids(dataset) == ["JPEGImages/a.jpg", "JPEGImages/b.jpg", "JPEGImages/c.jpg"]
    assert ids(dataset, Split.VAL) == ["JPEGImages/v.jpg"]
    assert {frame.sequence for frame in dataset.frames(Split.POOL)} == {""}
    values = {image: set(np.unique(dataset.read_mask(image))) for image in ids(dataset)}
    assert list(values.values()) == [{2}, {7}, {7}], "VOC's own masks come before SBD's"
    assert not any(dataset.check())
    assert ids(opened("voc", with_sbd, train="train")) == ["JPEGImages/a.jpg"]


def test_its_spec_comes_back_from_json_as_workers_are_given_it(with_sbd):
    spec = opened("voc", with_sbd).spec
    assert type(spec).model_validate(spec.model_dump(mode="json")) == spec


def test_png_masks_of_sbd_come_before_mat(with_sbd):
    save(with_sbd / "VOC2012/SegmentationClassAug/b.png", np.full((3, 4), 20))
    dataset = opened("voc", with_sbd)
    assert (dataset.read_mask("JPEGImages/b.jpg") == 20).all()


@pytest.mark.parametrize("name", ["train_aug", "trainaug"])
def test_a_list_that_is_there_is_used(with_sbd, name):
    listed(with_sbd / "VOC2012", name, ["/JPEGImages/b.jpg /SegmentationClassAug/b.png", "a"])
    assert ids(opened("voc", with_sbd)) == ["JPEGImages/a.jpg", "JPEGImages/b.jpg"]


def test_without_sbd_it_is_said_where_to_put_it(with_sbd):
    shutil.rmtree(with_sbd / "SBD")
    (problem,) = problems(opened("voc", with_sbd))
    assert problem.where.endswith("ImageSets/Segmentation/train_aug.txt")
    assert "`cls`" in problem.what
    assert "train: train" in problem.what


@pytest.mark.parametrize("content", [b"", b"no matlab", {"other": np.zeros(3)}, {"GTcls": [1.0]}])
def test_a_damaged_mat_is_named(with_sbd, content):
    path = with_sbd / "SBD/dataset/cls/b.mat"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        savemat(path, content)
    with pytest.raises(DataError, match=r"b\.mat: it is not SBD's") as caught:
        opened("voc", with_sbd).read_mask("JPEGImages/b.jpg")
    assert caught.value.problems[0].where == str(path)


def test_unknown_values_of_a_mat_are_told(with_sbd):
    mat(with_sbd / "SBD/dataset/cls/b.mat", np.full((3, 4), 21, np.uint8))
    with pytest.raises(DataError, match="values 21 belong to no class"):
        opened("voc", with_sbd).read_mask("JPEGImages/b.jpg")
    mat(with_sbd / "SBD/dataset/cls/b.mat", np.zeros((3, 4)))
    with pytest.raises(DataError, match="float64"):
        opened("voc", with_sbd).read_mask("JPEGImages/b.jpg")


@pytest.mark.parametrize("root", ["", "VOCdevkit", HOME])
def test_the_root_may_be_any_of_three(tree, root):
    dataset = opened("voc", tree / root)
    assert len(ids(dataset)) == 12
    assert len(ids(dataset, Split.VAL)) == 4
    assert dataset.fingerprint(Split.POOL) == opened("voc", tree).fingerprint(Split.POOL)
    assert len(dataset.classes) == 21


def test_the_miniature_has_palettes_lists_and_sizes(tree):
    home = tree / HOME
    sizes = {Image.open(path).size for path in (home / "JPEGImages").iterdir()}
    assert len(sizes) > 6
    assert any(width > height for width, height in sizes)
    assert any(width < height for width, height in sizes)
    assert len(ids(opened("voc", tree, train="train"))) == 4
    for folder in ("SegmentationClass", "SegmentationClassAug"):
        for path in (home / folder).iterdir():
            mask = Image.open(path)
            assert mask.mode == "P"
            palette = mask.getpalette()
            # VOC's colours of background, aeroplane, person and void.
            assert [palette[3 * i : 3 * i + 3] for i in (0, 1, 15, 255)] == [
                [0, 0, 0], [128, 0, 0], [192, 128, 128], [224, 224, 192],
            ]  # fmt: skip
            assert set(np.unique(np.array(mask))) <= {*range(21), 255}


def test_what_a_list_names_has_to_be_there(tree):
    home = tree / HOME
    images = sorted((home / "JPEGImages").glob("2007*"))
    images[0].unlink()
    mask = home / "SegmentationClassAug" / f"{images[1].stem}.png"
    mask.unlink()
    found = problems(opened("voc", tree))
    assert [problem.where for problem in found] == [
        str(images[0]),
        str(home / "SegmentationClass" / mask.name),
    ]
    for path in images:
        path.unlink(missing_ok=True)
    image, mask = problems(opened("voc", tree))
    assert "the first of 12 with this problem" in image.what
    (home / "ImageSets/Segmentation/val.txt").write_text("\n")
    assert "names no image" in problems(opened("voc", tree), Split.VAL)[0].what
    (home / "ImageSets/Segmentation/val.txt").unlink()
    assert "No such file" in problems(opened("voc", tree), Split.VAL)[0].what


def test_a_wrong_root_says_what_to_set(tmp_path):
    (problem,) = problems(opened("voc", tmp_path))
    assert problem.where == str(tmp_path)
    assert "`VOCdevkit/VOC2012`" in problem.what
