from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from alspec.labelling.propose import propose_project
from alspec.spec.load import load_project


def image(path, size=(48, 64)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, 3), 90, np.uint8)).save(path)


def mask(path, value=1, size=(48, 64)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(size, value, np.uint8)).save(path)


def loaded(proposal, tmp_path):
    path = tmp_path / "written" / "p.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(proposal.text)
    return load_project(path)


def test_images_alone_become_a_project_with_a_place_for_masks(tmp_path):
    for number in range(12):
        image(tmp_path / "my data" / "frames" / f"drive{number % 2}_{number:03d}.jpg")
    proposal = propose_project(tmp_path / "my data")
    project = loaded(proposal, tmp_path)
    assert project.project == "my-data"
    assert project.dataset.root == str(tmp_path / "my data")
    assert (project.dataset.images, project.dataset.masks) == ("frames", "labels")
    assert project.dataset.image_size == (48, 64)
    assert project.dataset.sequence == "^(.*)_"
    assert any("none has a mask" in note for note in proposal.notes)
    assert any("name your classes" in note for note in proposal.notes)


def test_a_few_masks_are_found_with_their_values(tmp_path):
    for number in range(10):
        image(tmp_path / "d" / "images" / f"{number}.jpg")
    for number in range(3):
        mask(tmp_path / "d" / "annot" / f"{number}.png", number)
    proposal = propose_project(tmp_path / "d")
    project = loaded(proposal, tmp_path)
    assert (project.dataset.images, project.dataset.masks) == ("images", "annot")
    assert project.classes == ("class_0", "class_1", "class_2")
    assert any("3 of them have masks in annot" in note for note in proposal.notes)


def test_a_tree_where_every_image_has_its_mask_is_a_study(tmp_path):
    for number in range(4):
        image(tmp_path / "images" / f"{number}.jpg")
        mask(tmp_path / "masks" / f"{number}.png")
    assert propose_project(tmp_path) is None


@pytest.mark.parametrize("loose", [True, False])
def test_a_tree_without_a_folder_of_images_says_what_to_do(loose, tmp_path):
    if loose:
        image(tmp_path / "a.jpg")
    (note,) = propose_project(tmp_path).notes
    assert ("put them into one of its own" in note) == loose


def test_init_writes_the_project_and_names_the_next_command(tmp_path, cli):
    for number in range(3):
        image(tmp_path / "frames" / f"{number}.jpg")
    code, out, err = cli("init", tmp_path)
    assert code == 0
    assert "alspec select" in out
    assert "3 images in frames" in err
    assert load_project(tmp_path / "project.yaml").classes == ("background", "object")
