from __future__ import annotations

import shutil

import numpy as np
import pytest
from factories.official_trees import drawn, ids, opened, problems, save
from PIL import Image
from pydantic import ValidationError

from alspec.datasets.base import Split
from alspec.errors import DataError

TRAIN_IDS = {
    7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9, 23: 10,
    24: 11, 25: 12, 26: 13, 27: 14, 28: 15, 31: 16, 32: 17, 33: 18,
}  # fmt: skip
"""Cityscapes' official table."""


@pytest.fixture
def tree(tmp_path):
    return drawn("cityscapes", tmp_path / "cityscapes")


def frame(root, name, split="train", masks="labelIds", values=((7, 8), (0, 255))):
    city = name.partition("_")[0]
    save(root / f"leftImg8bit/{split}/{city}/{name}_leftImg8bit.png", np.zeros((2, 2, 3)))
    return save(root / f"gtFine/{split}/{city}/{name}_gtFine_{masks}.png", values)


def test_the_trees_own_names_and_sequences(tmp_path):
    names = ["ulm_000001_000019", "aachen_000010_000019", "aachen_000002_000019"]
    for name in [*names, "aachen_000002_000007"]:
        frame(tmp_path, name)
        for other in ("gtFine_color.png", "gtFine_instanceIds.png", "gtFine_polygons.json"):
            (tmp_path / f"gtFine/train/{name.partition('_')[0]}/{name}_{other}").write_bytes(b"")
    dataset = opened("cityscapes", tmp_path)
    assert ids(dataset) == [
        "leftImg8bit/train/aachen/aachen_000002_000007_leftImg8bit.png",
        "leftImg8bit/train/aachen/aachen_000002_000019_leftImg8bit.png",
        "leftImg8bit/train/aachen/aachen_000010_000019_leftImg8bit.png",
        "leftImg8bit/train/ulm/ulm_000001_000019_leftImg8bit.png",
    ]
    sequences = [frame.sequence for frame in dataset.frames(Split.POOL)]
    assert sequences == ["aachen_000002", "aachen_000002", "aachen_000010", "ulm_000001"]
    assert dataset.classes == (
        "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign",
        "vegetation", "terrain", "sky", "person", "rider", "car", "truck", "bus", "train",
        "motorcycle", "bicycle",
    )  # fmt: skip


def test_label_ids_follow_the_official_table(tmp_path):
    values = np.array([*range(34), 255, 255], np.uint8).reshape(6, 6)
    frame(tmp_path, "ulm_000000_000019", values=values)
    dataset = opened("cityscapes", tmp_path)
    (image,) = ids(dataset)
    expected = [TRAIN_IDS.get(value, 255) for value in values.ravel()]
    assert dataset.read_mask(image).ravel().tolist() == expected


def test_train_ids_are_read_where_only_they_are_there(tmp_path):
    frame(tmp_path, "ulm_000000_000019", masks="labelTrainIds", values=((0, 18), (255, 3)))
    dataset = opened("cityscapes", tmp_path)
    (image,) = ids(dataset)
    np.testing.assert_array_equal(dataset.read_mask(image), [[0, 18], [255, 3]])
    (problem,) = problems(opened("cityscapes", tmp_path, labels="labelIds"))
    assert "no *_gtFine_labelIds.png in this folder" in problem.what


def test_of_both_kinds_label_ids_are_read_unless_the_spec_says_so(tmp_path):
    frame(tmp_path, "ulm_000000_000019", values=((26, 26), (26, 26)))
    frame(tmp_path, "ulm_000000_000019", masks="labelTrainIds", values=((5, 5), (5, 5)))
    for labels, expected in (("auto", 13), ("labelIds", 13), ("labelTrainIds", 5)):
        dataset = opened("cityscapes", tmp_path, labels=labels)
        assert (dataset.read_mask(ids(dataset)[0]) == expected).all()


def test_unknown_values_are_told(tmp_path):
    path = frame(tmp_path, "ulm_000000_000019", values=((34, 7), (99, 7)))
    dataset = opened("cityscapes", tmp_path)
    with pytest.raises(DataError, match="values 34, 99 belong to no class") as caught:
        dataset.read_mask(ids(dataset)[0])
    assert caught.value.problems[0].where == str(path)


def test_validation_is_val(tree):
    dataset = opened("cityscapes", tree)
    assert len(ids(dataset)) == 12
    assert len(ids(dataset, Split.VAL)) == 4
    assert all(image.startswith("leftImg8bit/val/") for image in ids(dataset, Split.VAL))


def test_the_miniature_has_the_official_encoding(tree):
    masks = sorted((tree / "gtFine/train").rglob("*_gtFine_labelIds.png"))
    assert len(masks) == 12
    seen = set().union(*(np.unique(np.array(Image.open(path))) for path in masks))
    assert seen <= set(TRAIN_IDS)
    assert len(seen) > 12


def test_unpaired_files_are_told_at_once(tree):
    images = sorted((tree / "leftImg8bit/train").rglob("*.png"))
    masks = sorted((tree / "gtFine/train").rglob("*.png"))
    images[0].unlink()
    masks[5].unlink()
    shutil.copy(images[7], images[7].with_name("odd_leftImg8bit.png"))
    shutil.copy(masks[7], masks[7].with_name("odd_gtFine_labelIds.png"))
    found = problems(opened("cityscapes", tree))
    text = "\n".join(map(str, found))
    assert len(found) == 3
    assert f"{masks[0]}: this mask has no image `{images[0].relative_to(tree)}`" in text
    assert f"{images[5]}: this image has no mask `{masks[5].relative_to(tree)}`" in text
    assert "odd` is not named as <city>/<city>_<sequence>_<frame>" in text


@pytest.mark.parametrize("folder", ["", "leftImg8bit", "gtFine/train"])
def test_a_wrong_root_says_what_to_set(tree, folder):
    shutil.rmtree(tree / folder)
    (problem,) = problems(opened("cityscapes", tree))
    assert problem.where == str(tree)
    assert problem.loc == ("root",)
    assert "environment variable" in problem.what
    assert "`gtFine/train`" in problem.what


def test_the_root_is_needed():
    with pytest.raises(ValidationError, match="`leftImg8bit` and `gtFine`"):
        opened("cityscapes", "")


def test_listing_reads_nothing(tree):
    before = opened("cityscapes", tree).fingerprint(Split.POOL)
    for path in tree.rglob("*.png"):
        path.write_bytes(b"\0" * path.stat().st_size)
    assert opened("cityscapes", tree).fingerprint(Split.POOL) == before
    next((tree / "gtFine/val").rglob("*.png")).write_bytes(b"shorter")
    assert opened("cityscapes", tree).fingerprint(Split.POOL) == before
    next((tree / "gtFine/train").rglob("*.png")).write_bytes(b"shorter")
    assert opened("cityscapes", tree).fingerprint(Split.POOL) != before
