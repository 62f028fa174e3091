from __future__ import annotations

import hashlib
import os
import shutil

import numpy as np
import pytest
from factories.official_trees import ids, problems
from PIL import Image
from pydantic import ValidationError

from alspec.datasets.base import Dataset, Split
from alspec.datasets.kinds.folder import Folder, Spec
from alspec.datasets.open import open_dataset
from alspec.errors import DataError


def spec(place, **changes):
    return Spec.model_validate(
        {
            "name": "mine",
            "kind": "folder",
            "root": str(place),
            "image_size": [8, 8],
            "images": "train",
            "masks": "trainannot",
            "classes": ["a", "b", "c"],
            "ignore": 9,
            "val": {"images": "val", "masks": "valannot"},
            **changes,
        }
    )


def image(path, height=4, width=6, value=100):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((height, width, 3), value, np.uint8)).save(path)


def mask(path, values=((0, 1, 2, 9, 255, 0),) * 4):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(values, np.uint8)).save(path)


def pair(root, stem, folder="train"):
    image(root / folder / f"{stem}.png")
    mask(root / f"{folder}annot" / f"{stem}.png")


@pytest.fixture
def tree(tmp_path):
    for stem in ("s2_10", "s2_9", "s10_1", "s2_100"):
        pair(tmp_path, stem)
    pair(tmp_path, "v_1", "val")
    return tmp_path


def faults(**changes):
    with pytest.raises(ValidationError) as caught:
        spec("somewhere", **changes)
    return {".".join(map(str, e["loc"])): e["msg"] for e in caught.value.errors()}


# ---- the spec


@pytest.mark.parametrize("root", [None, ""])
def test_root_is_needed(root):
    assert "`root` is needed" in faults(root=root)["root"]


def test_root_is_needed_when_it_is_left_out():
    given = {key: value for key, value in spec("x").model_dump().items() if key != "root"}
    with pytest.raises(ValidationError, match="`root` is needed"):
        Spec.model_validate(given)


@pytest.mark.parametrize("path", ["/abs", "../up", "a/../../b", "C:\\x", "a\\b", ""])
def test_folders_lie_below_root(path):
    assert "images" in faults(images=path)
    assert "val.masks" in faults(val={"images": "val", "masks": path})


def test_folders_do_not_overlap():
    assert "share a folder" in faults(masks="train/")["masks"]
    assert "share a folder" in faults(val={"images": "v", "masks": "v/m"})["val.masks"]
    assert (
        "measured on what it was trained on" in faults(val={"images": "train", "masks": "m"})["val"]
    )
    assert "val" in faults(val={"images": "train/part", "masks": "m"})


def test_classes_are_several_and_different():
    assert "classes" in faults(classes=["one"])
    assert "`b` is repeated" in str(faults(classes=["a", "b", "b"]))
    assert any(place.startswith("ignore") for place in faults(ignore=70000))


@pytest.mark.parametrize(
    ("pattern", "word"), [("(", "regular expression"), ("x", "0 groups"), ("(a)(b)", "2 groups")]
)
def test_a_sequence_pattern_has_one_group(pattern, word):
    assert word in faults(sequence=pattern)["sequence"]


def test_all_faults_are_told_at_once():
    assert set(faults(root=None, classes=["x"], sequence="(", images="/")) == {
        "root",
        "classes",
        "sequence",
        "images",
    }


# ---- listing


def test_frames_are_in_natural_order_by_sequence(tree):
    dataset = open_dataset(spec(tree, sequence="^(.*)_"))
    assert isinstance(dataset, Folder)
    assert ids(dataset) == [
        "train/s2_9.png",
        "train/s2_10.png",
        "train/s2_100.png",
        "train/s10_1.png",
    ]
    assert [f.sequence for f in dataset.frames(Split.POOL)] == ["s2", "s2", "s2", "s10"]
    assert ids(dataset, Split.VAL) == ["val/v_1.png"]


def test_without_a_pattern_all_images_are_one_sequence(tree):
    dataset = Folder(spec(tree))
    assert {frame.sequence for frame in dataset.frames(Split.POOL)} == {""}
    assert len(ids(dataset)) == 4


def test_folders_in_folders_and_any_extension(tmp_path):
    for name in ("x/1.JPG", "x/2.jpeg", "y/deep/1.webp", "z.tiff", "w.bmp"):
        image(tmp_path / "train" / name)
    for name in ("x/1.png", "x/2.PNG", "y/deep/1.tif", "z.bmp", "w.png"):
        mask(tmp_path / "trainannot" / name)
    (tmp_path / "train" / "notes.txt").write_text("passed over")
    (tmp_path / "train" / "._1.jpg").write_text("passed over")
    (tmp_path / "train" / ".hidden").mkdir()
    image(tmp_path / "train" / ".hidden" / "q.png")
    pair(tmp_path, "v", "val")
    dataset = Folder(spec(tmp_path, sequence="^(?:(.*)/)?[^/]*$"))
    with pytest.raises(DataError):  # the group stays empty for w and z
        dataset.frames(Split.POOL)
    dataset = Folder(spec(tmp_path, sequence="^(.*?)/?[^/]*$"))
    assert ids(dataset) == [
        "train/w.bmp",
        "train/z.tiff",
        "train/x/1.JPG",
        "train/x/2.jpeg",
        "train/y/deep/1.webp",
    ]
    assert [frame.sequence for frame in dataset.frames(Split.POOL)] == ["", "", "x", "x", "y/deep"]
    for name in ids(dataset):
        assert dataset.read_image(name).shape == (4, 6, 3)
        assert dataset.read_mask(name).shape == (4, 6)


def test_images_may_stand_in_root_itself_only_without_the_masks_below(tmp_path):
    assert "val" in faults(images=".", masks="labels")
    link = tmp_path / "data" / "train"
    link.parent.mkdir()
    image(tmp_path / "elsewhere" / "a.png")
    link.symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "loop").symlink_to(tmp_path / "elsewhere")
    mask(tmp_path / "data" / "trainannot" / "a.png")
    assert ids(Folder(spec(tmp_path / "data", follow_links=True))) == ["train/a.png"]
    (problem,) = problems(Folder(spec(tmp_path / "data")))
    assert problem.where == str(link)
    assert "`follow_links: true`" in problem.what


def test_a_missing_root_says_where_and_what_to_set(tmp_path):
    (problem,) = problems(Folder(spec(tmp_path / "none")))
    assert problem.where == str((tmp_path / "none").absolute())
    assert "environment variable" in problem.what
    assert problem.loc == ("root",)


def test_missing_folders_are_told_together(tree):
    shutil.rmtree(tree / "val")
    shutil.rmtree(tree / "valannot")
    found = problems(Folder(spec(tree)), Split.VAL)
    assert [problem.loc for problem in found] == [("val", "images"), ("val", "masks")]
    assert [problem.where for problem in found] == [str(tree / "val"), str(tree / "valannot")]


def test_empty_folders(tree):
    for folder in ("val", "valannot"):
        shutil.rmtree(tree / folder)
        (tree / folder).mkdir()
    assert "no images" in problems(Folder(spec(tree)), Split.VAL)[0].what


def test_all_that_does_not_pair_is_told_at_once(tree):
    image(tree / "train" / "alone.png")
    mask(tree / "trainannot" / "other.png")
    image(tree / "train" / "s2_9.jpg")
    pair(tree, "unmatched")
    found = problems(Folder(spec(tree, sequence="^(s[0-9]+)_")))
    text = "\n".join(map(str, found))
    assert len(found) == 4
    assert f"{tree / 'train' / 'alone.png'}: this image has no mask `trainannot/alone.png`" in text
    assert f"{tree / 'trainannot' / 'other.png'}: this mask has no image" in text
    assert "same name as train/s2_9.jpg" in text
    assert f"{tree / 'train' / 'unmatched.png'}: `sequence` ^(s[0-9]+)_ does not match" in text


def test_images_without_masks_are_one_problem_that_waits_for_labels(tree):
    for number in range(33):
        image(tree / "train" / f"alone{number:02d}.png")
    found = problems(Folder(spec(tree)))
    (one,) = found
    assert "33 of 37 images have no mask" in one.what
    assert one.where == str(tree / "train" / "alone00.png")
    assert one.waits_for_labels
    assert DataError(found).exit_code == 3


@pytest.mark.skipif(os.name == "nt", reason="the name cannot exist there")
def test_names_that_no_list_can_hold_are_refused(tree):
    image(tree / "train" / "a\nb.png")
    mask(tree / "trainannot" / "a\nb.png")
    assert "rename" in problems(Folder(spec(tree)))[0].what


def test_listing_is_done_once(tree, monkeypatch):
    dataset = Folder(spec(tree))
    first = dataset.frames(Split.POOL)
    monkeypatch.setattr(os, "scandir", None)
    assert dataset.frames(Split.POOL) == first
    assert dataset.fingerprint(Split.POOL)


def test_listing_reads_no_pixels(tree):
    for path in (tree / "train").iterdir():
        path.write_bytes(b"no image")
    assert len(Folder(spec(tree)).frames(Split.POOL)) == 4


# ---- fingerprint


def test_the_fingerprint_is_sha256_of_names_and_sizes(tree):
    files = sorted(
        (path.relative_to(tree).as_posix(), path.stat().st_size)
        for folder in ("val", "valannot")
        for path in (tree / folder).iterdir()
    )
    text = "".join(f"{name}\0{size}\n" for name, size in files)
    expected = hashlib.sha256(text.encode()).hexdigest()
    assert Folder(spec(tree)).fingerprint(Split.VAL) == expected


def test_the_fingerprint_follows_files_not_places_or_labels(tree, tmp_path_factory):
    before = {split: Folder(spec(tree)).fingerprint(split) for split in Split}
    moved = tmp_path_factory.mktemp("moved") / "copy"
    shutil.copytree(tree, moved)
    other = Folder(spec(moved, classes=["x", "y"], ignore=None, image_size=[16, 16]))
    assert {split: other.fingerprint(split) for split in Split} == before
    pair(moved, "s3_1")
    again = Folder(spec(moved))
    assert again.fingerprint(Split.POOL) != before[Split.POOL]
    assert again.fingerprint(Split.VAL) == before[Split.VAL]
    mask(moved / "valannot" / "v_1.png", np.random.default_rng(0).integers(0, 3, (4, 6)))
    assert Folder(spec(moved)).fingerprint(Split.VAL) != before[Split.VAL]


# ---- pixels


def test_mask_values_become_class_ids(tree):
    dataset = Folder(spec(tree))
    read = dataset.read_mask("train/s2_9.png")
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, [[0, 1, 2, 255, 255, 0]] * 4)


def test_an_ignored_value_may_be_a_class(tree):
    read = Folder(spec(tree, classes=["void", "a", *"bcdefghi"], ignore=0)).read_mask(
        "train/s2_9.png"
    )
    np.testing.assert_array_equal(read[0], [255, 1, 2, 9, 255, 255])


def test_other_values_are_told(tree):
    mask(tree / "trainannot" / "s2_9.png", np.arange(24).reshape(4, 6))
    with pytest.raises(DataError, match=r"s2_9\.png: values 3, 4, 5, 6, 7, 8, 10, .* and 10 more"):
        Folder(spec(tree)).read_mask("train/s2_9.png")


def test_16_bit_masks(tree):
    values = np.array([[0, 1, 2, 9, 255, 2]] * 4, np.uint16)
    path = tree / "trainannot" / "s2_9.png"
    Image.fromarray(values).save(path)
    np.testing.assert_array_equal(
        Folder(spec(tree)).read_mask("train/s2_9.png")[0], [0, 1, 2, 255, 255, 2]
    )
    values[0, 0] = 256
    values[1, 1] = 65535
    Image.fromarray(values).save(path)
    with pytest.raises(DataError, match="values 256, 65535 belong"):
        Folder(spec(tree)).read_mask("train/s2_9.png")


def test_an_unknown_image_is_a_data_error(tree):
    with pytest.raises(DataError, match="no image `train/none"):
        Folder(spec(tree)).read_image("train/none.png")


# ---- check


def test_check_is_silent_on_a_good_tree(tree):
    dataset: Dataset = Folder(spec(tree))
    assert [list(found) for found in dataset.check()] == [[]] * 5


def test_check_tells_each_image_apart_in_order(tree):
    (tree / "train" / "s2_9.png").write_bytes(b"")
    mask(tree / "trainannot" / "s2_10.png", np.zeros((2, 2)))
    mask(tree / "trainannot" / "s2_100.png", np.full((4, 6), 77))
    mask(tree / "trainannot" / "s10_1.png", np.full((4, 6), 255))
    (tree / "val" / "v_1.png").write_bytes((tree / "val" / "v_1.png").read_bytes()[:-30])
    mask(tree / "valannot" / "v_1.png", np.full((4, 6), 5))
    dataset = Folder(spec(tree, sequence="^(.*)_"))
    found = [[problem.where for problem in image] for image in dataset.check()]
    assert found == [
        [str(tree / "train" / "s2_9.png")],
        [str(tree / "trainannot" / "s2_10.png")],
        [str(tree / "trainannot" / "s2_100.png")],
        [],
        [str(tree / "val" / "v_1.png"), str(tree / "valannot" / "v_1.png")],
    ]
    (size,) = list(dataset.check())[1]
    assert "2x2" in size.what
    assert "4x6" in size.what


def test_check_can_be_left_early(tree):
    checking = Folder(spec(tree)).check()
    next(checking)
    checking.close()
