"""Which masks `predict` keeps, and which models it and other commands use; made-up steps."""

from __future__ import annotations

import csv
import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
from factories.drawn_project import DrawnProject, drawing
from factories.made_up import MadeUp
from factories.project_place import Place
from PIL import Image

from alspec import projects
from alspec.errors import InputError


class Predictor:
    """Writes what a mask or a confidence map is made of; stops after a number of images."""

    def __init__(self):
        self.most = None
        self.given = {}

    def __call__(self, store, train, images, **given):
        self.given = given
        for one in images[: self.most]:
            content = hashlib.sha256(Path(one["image"]).read_bytes()).hexdigest()
            for what in one.keys() - {"image"}:
                path = Path(one[what])
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(f"{what} {train} {content}")
        if self.most is not None:
            raise KeyboardInterrupt
        return []


@pytest.fixture
def predictor(monkeypatch):
    one = Predictor()
    monkeypatch.setattr("os.fsync", lambda _: None)
    monkeypatch.setattr("alspec.labelling.masks.predict_images", one)
    monkeypatch.setattr("alspec.labelling.hand_over.predict_images", lambda *_, **__: [])
    return one


@pytest.fixture
def place(tmp_path, predictor):
    return Place(tmp_path / "work", MadeUp)


@pytest.fixture
def drawn(tmp_path, place):
    """A project with a model."""
    drawn = DrawnProject(tmp_path, 6, labelled=4)
    place.run(drawn.project)
    return drawn


@pytest.fixture
def folders(tmp_path):
    """Two folders of other images of the same names."""
    for number, name in enumerate("AB"):
        (tmp_path / name).mkdir()
        for image in range(3):
            draw(tmp_path / name / f"{image}.png", 10 * number + image)
    return tmp_path / "A", tmp_path / "B"


def draw(path, number):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(drawing(number)[0]).save(path)


def are_of(output, images, what="mask"):
    """Whether every file is one of the image of its name."""
    contents = {
        path.relative_to(images): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in images.rglob("*.png")
    }
    found = {name: (output / name).read_text().split() for name in contents}
    return all(found[name][::2] == [what, content] for name, content in contents.items())


def test_masks_of_other_images_of_the_same_names_are_made_anew(drawn, place, folders, tmp_path):
    one, other = folders
    output = tmp_path / "masks"
    assert place.predict(drawn.project, output, images=one).written == 3
    assert place.predict(drawn.project, output, images=one).written == 0
    assert place.predict(drawn.project, output, images=other).written == 3
    assert are_of(output, other)
    draw(other / "1.png", 99)
    assert place.predict(drawn.project, output, images=other).written == 1
    assert are_of(output, other)


def test_an_interrupted_prediction_goes_on(drawn, place, folders, tmp_path, predictor):
    one, other = folders
    output = tmp_path / "masks"
    place.predict(drawn.project, output, images=one)
    predictor.most = 2
    with pytest.raises(KeyboardInterrupt):
        place.predict(drawn.project, output, images=other)
    assert len(list(output.glob("*.png"))) == 2  # none is there of the images of before
    predictor.most = None
    assert place.predict(drawn.project, output, images=other).written == 1
    assert are_of(output, other)


def test_confidence_of_other_images_is_made_anew(drawn, place, folders, tmp_path):
    one, other = folders
    output = tmp_path / "masks"
    place.predict(drawn.project, output, images=one, confidence=True)
    place.predict(drawn.project, output, images=other)
    assert place.predict(drawn.project, output, images=other, confidence=True).written == 3
    assert are_of(output / "confidence", other, "confidence")


def test_a_mask_and_a_confidence_map_are_never_one_file(drawn, place, tmp_path):
    images = tmp_path / "images"
    draw(images / "x.png", 1)
    draw(images / "confidence" / "x.png", 2)
    with pytest.raises(InputError, match=r"mask of confidence/x\.png and the confidence of x\.png"):
        place.predict(drawn.project, tmp_path / "masks", images=images, confidence=True)
    assert place.predict(drawn.project, tmp_path / "masks", images=images).written == 2
    assert are_of(tmp_path / "masks", images)


def test_an_unreadable_image_is_left_to_the_prediction(drawn, place, folders, tmp_path):
    (folders[0] / "gone.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(FileNotFoundError):  # where the real one reports it, and goes on
        place.predict(drawn.project, tmp_path / "masks", images=folders[0])


def test_somebody_elses_masks_stay(drawn, place, folders, tmp_path):
    output = tmp_path / "masks"
    draw(output / "1.png", 5)
    before = (output / "1.png").read_bytes()
    with pytest.raises(InputError, match="`predict` did not write"):
        place.predict(drawn.project, output, images=folders[0])
    assert (output / "1.png").read_bytes() == before


def names_in(output):
    with (output / "classes.csv").open(newline="") as file:
        return [row["name"] for row in csv.DictReader(file)]


@pytest.mark.parametrize(
    "values", [{2: "ball", 1: "box", 0: "ground"}, {0: "ground", 1: "box", 2: "ball", 3: "z"}]
)
def test_a_model_of_other_classes_is_not_used(values, tmp_path, place):
    drawn = DrawnProject(tmp_path, 6, labelled=4)
    del drawn.plain["dataset"]["classes"]
    drawn.plain["dataset"]["values"] = {0: "ground", 1: "box", 2: "ball"}
    place.run(drawn.project)
    place.predict(drawn.project, tmp_path / "before")
    assert names_in(tmp_path / "before") == ["ground", "box", "ball"]

    drawn.plain["dataset"]["values"] = values
    with pytest.raises(InputError, match=r"ground, box, ball.*`alspec run` trains"):
        place.predict(drawn.project, tmp_path / "after")
    assert place.status(drawn.project).untrained == 4
    place.run(drawn.project)
    place.predict(drawn.project, tmp_path / "after")
    assert names_in(tmp_path / "after") == list(values.values())


def test_no_proposals_of_a_model_of_other_classes(drawn, place):
    made = place.select(drawn.project)
    shutil.rmtree(made.batch.folder.proposed)
    drawn.plain["dataset"]["classes"] = ["box", "ground", "ball"]
    place.select(drawn.project, to="cvat")
    assert not made.batch.folder.proposed.exists()


def test_images_are_read_as_in_training(drawn, place, tmp_path, predictor):
    """One in blue, green, red is another image to the model, and needs another mask."""
    place.predict(drawn.project, tmp_path / "masks")
    drawn.plain["dataset"]["bands"] = [3, 2, 1]
    assert place.predict(drawn.project, tmp_path / "masks").written == 6
    assert predictor.given["bands"] == (3, 2, 1)


def test_a_revised_mask_is_not_trained_on_until_run(drawn, place):
    def state():
        return projects.status(drawn.project, **place.work_dir)

    image = sorted(drawn.truths)[0]
    keys = [path.name for path in place.folder(drawn.project).trainings.iterdir()]
    assert state().summary.untrained == 0
    drawn.label(image, np.zeros_like(drawn.truths[image]))
    assert state().summary.untrained == 1
    assert not state().ok
    place.run(drawn.project)
    assert state().summary.untrained == 0
    drawn.label(image)  # and back
    assert state().summary.untrained == 1
    place.run(drawn.project)
    assert state().summary.untrained == 0
    last = max(place.folder(drawn.project).trainings.iterdir()).name
    assert last.partition("-")[2] == keys[0].partition("-")[2]
