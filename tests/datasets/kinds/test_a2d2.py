from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from factories.official_trees import drawn, ids, opened, problems, save
from PIL import Image
from pydantic import ValidationError

from alspec.datasets.base import Split
from alspec.datasets.kinds import a2d2
from alspec.errors import DataError

ROWS = list(csv.DictReader(Path(a2d2.__file__).with_name("a2d2_classes.csv").open()))


@pytest.fixture
def tree(tmp_path):
    return drawn("a2d2", tmp_path / "a2d2")


def frame(home, sequence, camera, number, values=None):
    digits, short = sequence.replace("_", ""), camera.removeprefix("cam_").replace("_", "")
    for what in ("camera", "label"):
        pixels = values if what == "label" and values is not None else np.full((2, 2, 3), 255)
        name = f"{digits}_{what}_{short}_{number:09d}.png"
        path = save(home / sequence / what / camera / name, pixels)
        path.with_suffix(".json").write_text("{}")
    (home / sequence / "lidar" / camera).mkdir(parents=True, exist_ok=True)
    return path


def test_ids_are_those_of_the_papers_lists(tmp_path):
    home = tmp_path / "camera_lidar_semantic"
    frame(home, "20181108_084007", "cam_front_center", 38301)
    frame(home, "20180925_112730", "cam_front_center", 7)
    for root in (tmp_path, home):
        dataset = opened("a2d2", root)
        assert ids(dataset) == [
            "20181108_084007/camera/cam_front_center/"
            "20181108084007_camera_frontcenter_000038301.png"
        ]
        assert len(ids(dataset, Split.VAL)) == 1
        assert dataset.fingerprint(Split.POOL) == opened("a2d2", home).fingerprint(Split.POOL)


def test_following_frames_are_of_one_sequence_and_camera(tmp_path):
    for camera in ("cam_side_left", "cam_front_center"):
        for number in (30, 4, 200):
            frame(tmp_path, "20180807_145028", camera, number)
            frame(tmp_path, "20180810_142822", camera, number)
    dataset = opened("a2d2", tmp_path)
    frames = dataset.frames(Split.POOL)
    assert list(dict.fromkeys(frame.sequence for frame in frames)) == [
        "20180807_145028/cam_front_center",
        "20180807_145028/cam_side_left",
        "20180810_142822/cam_front_center",
        "20180810_142822/cam_side_left",
    ]
    numbers = [int(frame.id.removesuffix(".png").rpartition("_")[2]) for frame in frames]
    assert numbers == [4, 30, 200] * 4


def test_a_list_of_cameras(tmp_path):
    frame(tmp_path, "20180807_145028", "cam_side_left", 1)
    frame(tmp_path, "20180807_145028", "cam_front_center", 1)
    dataset = opened("a2d2", tmp_path, cameras=["cam_side_left"])
    (image,) = ids(dataset)
    assert "/cam_side_left/" in image
    assert "of cam_rear_center" in str(
        problems(opened("a2d2", tmp_path, cameras=["cam_rear_center"]))[0]
    )
    with pytest.raises(ValidationError, match="cam_front_center"):
        opened("a2d2", tmp_path, cameras=["front_center"])
    with pytest.raises(ValidationError, match="is repeated"):
        opened("a2d2", tmp_path, cameras=["cam_side_left", "cam_side_left"])


@pytest.mark.parametrize("class_map", ["release19", "cityscapes19"])
def test_all_55_colours_in_both_maps(tmp_path, class_map):
    colours = [tuple(bytes.fromhex(row["colour"][1:])) for row in ROWS]
    assert len(set(colours)) == 55
    frame(tmp_path, "20180807_145028", "cam_front_center", 1, np.reshape(colours, (5, 11, 3)))
    dataset = opened("a2d2", tmp_path, class_map=class_map)
    mask = dataset.read_mask(ids(dataset)[0])
    assert mask.ravel().tolist() == [int(row[class_map]) for row in ROWS]
    assert len(dataset.classes) == len(set(dataset.classes)) == 19


def test_the_default_map_is_the_one_behind_the_papers_numbers(tree):
    dataset = opened("a2d2", tree)
    assert dataset.spec.class_map == "release19"
    assert dataset.classes[0] == "drivable surface"
    assert dataset.classes[18] == "rest"
    assert opened("a2d2", tree, class_map="cityscapes19").classes[18] == "bicycle"


def test_class_names_fit_the_colours_names():
    """Release ids by the names that A2D2 gives its colours."""
    for name, word in (("Car 1", "car"), ("Sky", "sky"), ("Curbstone", "curb"), ("Poles", "pole")):
        (row,) = [row for row in ROWS if row["name"] == name]
        assert word in a2d2.RELEASE19[int(row["release19"])]


def test_an_unknown_colour_names_file_colour_and_count(tmp_path):
    values = np.full((4, 5, 3), (255, 0, 0))
    values[0, :3] = (1, 2, 3)
    values[1, 0] = (255, 0, 1)
    path = frame(tmp_path, "20180807_145028", "cam_front_center", 1, values)
    dataset = opened("a2d2", tmp_path)
    with pytest.raises(DataError) as caught:
        dataset.read_mask(ids(dataset)[0])
    (problem,) = caught.value.problems
    assert problem.where == str(path)
    assert "#010203 (3 pixels), #ff0001 (1 pixels) belong to no class" in problem.what


def test_the_miniature_has_the_official_colours(tree):
    home = tree / "camera_lidar_semantic"
    labels = sorted(home.rglob("label/*/*.png"))
    assert len(labels) == 16
    seen = np.unique(
        np.concatenate([np.array(Image.open(p)).reshape(-1, 3) for p in labels]), axis=0
    )
    assert {f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in seen} <= {
        row["colour"] for row in ROWS
    }
    assert len(seen) > 12
    assert len({path.parts[-4] for path in labels}) == 5


def test_what_is_missing_is_told(tree):
    home = tree / "camera_lidar_semantic"
    dataset = opened("a2d2", tree)
    image = home / ids(dataset)[0]
    image.unlink()
    (problem,) = problems(opened("a2d2", tree))
    assert f"this mask has no image `{image.relative_to(home)}`" in problem.what
    shutil.rmtree(home / "20180925_112730")
    assert "20180925_112730" in problems(opened("a2d2", tree), Split.VAL)[0].what
    shutil.rmtree(home)
    for root in (tree, tree / "none"):
        (problem,) = problems(opened("a2d2", root))
        assert problem.where == str(root)
        assert "environment variable" in problem.what


def test_a_tree_with_validation_alone(tmp_path):
    frame(tmp_path, "20180925_112730", "cam_front_center", 1)
    assert "nothing can be labelled" in problems(opened("a2d2", tmp_path))[0].what


def test_many_missing_labels_are_one_problem(tmp_path):
    for number in range(30):
        frame(tmp_path, "20180807_145028", "cam_front_center", number)
    for path in (tmp_path / "20180807_145028/label/cam_front_center").glob("*[1-9].png"):
        path.unlink()
    found = problems(opened("a2d2", tmp_path))
    assert len(found) == 1
    assert "27 of 30 images have no mask" in found[0].what
